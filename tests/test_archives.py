"""What a source archive and a wheel hold, file by file."""

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import minipixel as mp

ROOT = Path(__file__).parents[1]
HOME = "https://forge.example/people/minipixel"
BUILD = "import sys; from setuptools import build_meta; getattr(build_meta, sys.argv[1])(sys.argv[2])"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ROOT / ".git").exists(), reason="what belongs to the project is what git has"),
]


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """Both, built from a clone, with nothing in it that is not committed."""
    setuptools = pytest.importorskip("setuptools", minversion="77")
    assert setuptools
    clone, out = tmp_path_factory.mktemp("clone") / "minipixel", tmp_path_factory.mktemp("archives")
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    environment = os.environ | {"MINIPIXEL_HOME": HOME}
    for what in ("build_sdist", "build_wheel"):
        subprocess.run(
            [sys.executable, "-c", BUILD, what, str(out)], cwd=clone, env=environment, check=True, capture_output=True
        )
    return out


def of_git():
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return {line for line in done.stdout.splitlines() if not line.startswith("benchmarks/runs/")}


def test_the_source_archive_has_all_of_the_project_and_nothing_else(archives):
    (file,) = archives.glob("*.tar.gz")
    with tarfile.open(file) as archive:
        names = {name.partition("/")[2] for name in archive.getnames() if archive.getmember(name).isfile()}
    made = {"PKG-INFO", "setup.cfg"} | {name for name in names if name.startswith("minipixel.egg-info/")}
    assert names - made == of_git() - {".gitignore"}


def test_the_wheel_has_the_package_its_licences_and_nothing_else(archives):
    (file,) = archives.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        names = set(archive.namelist())
        metadata = archive.read(next(name for name in names if name.endswith("METADATA"))).decode()
    package = {name for name in of_git() if name.startswith("minipixel/")} | {"minipixel_pytest.py"}
    about = {name for name in names if ".dist-info/" in name}
    assert names - about == package
    licences = {name.partition("licenses/")[2] for name in about if "licenses/" in name}
    assert licences == {"LICENSE"} | {name for name in package if "LICENSE" in name}
    assert "License-Expression: MIT AND CC-BY-4.0 AND Apache-2.0 AND CC-BY-SA-3.0" in metadata
    assert file.stat().st_size < 8e6


def test_the_front_page_of_an_index_leads_to_the_repository(archives):
    """Every picture and every link is absolute, and what it leads to is a file or a folder of this version."""
    (file,) = archives.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        metadata = archive.read(next(name for name in archive.namelist() if name.endswith("METADATA"))).decode()
    page = metadata.partition("\n\n")[2]
    links, files = re.findall(r"(!?)\[[^]]*\]\(([^)]+)\)", page), of_git()
    assert len(links) > 30 and f"Project-URL: Source, {HOME}" in metadata
    for picture, target in links:
        view = "raw" if picture else "blob"
        path = re.fullmatch(rf"{HOME}/{view}/v{re.escape(mp.__version__)}/([^#]+?)/?(#.*)?", target)
        assert path, target
        assert path[1] in files or any(name.startswith(f"{path[1]}/") for name in files), target
