"""The site (docs/): its pages, and, in a browser, what they look like to a reader. See docs/Makefile."""

import functools
import importlib
import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import headless
import pytest

import minipixel as mp

ROOT = Path(__file__).parents[1]
TOCTREE = re.compile(r"^```\{toctree\}\n(.*?)^```", re.M | re.S)
MODULES = [
    *("models", "datasets", "callbacks", "optim", "nn", "heads", "ops", "plots"),
    *("causality", "distributions", "interop", "clock", "kernels", "ranks"),
]


@pytest.fixture
def conf(monkeypatch):
    """What docs/conf.py sets, without what it does to this process."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    monkeypatch.delenv("MINIPIXEL_LESSONS", raising=False)
    return runpy.run_path(str(ROOT / "docs" / "conf.py"))


@pytest.fixture
def extension(monkeypatch):
    """Imports a module of docs/_extensions."""
    pytest.importorskip("sphinx", reason="Sphinx is not installed; the extra docs has it")
    monkeypatch.syspath_prepend(ROOT / "docs" / "_extensions")
    return importlib.import_module


def test_every_page_is_in_a_table_of_contents(conf):
    pages = {page for pattern in conf["include_patterns"] for page in ROOT.glob(pattern)}
    listed = {ROOT / "docs" / "index.md"}
    for page in pages:
        text = page.read_text(encoding="utf-8")
        text += "\n" + conf["PAGES_BELOW"].get(str(page.relative_to(ROOT).with_suffix("")), "") + "\n"
        for block in TOCTREE.findall(text):
            for entry in re.findall(r"^[^:\s].*$", block, re.M):
                folder = ROOT if entry.startswith("/") else page.parent
                found = {path for path in folder.glob(f"{entry.lstrip('/')}.*") if path in pages}
                assert found, f"{page.name}: {entry} is no page"
                listed |= found
    assert len(pages) > 60
    assert not {str(page.relative_to(ROOT)) for page in pages - listed}


def test_conf_runs_the_chosen_lessons_alone(conf, monkeypatch):
    monkeypatch.setenv("MINIPIXEL_LESSONS", "01_*")
    left_out = runpy.run_path(str(ROOT / "docs" / "conf.py"))["nb_execution_excludepatterns"]
    lessons = sorted((ROOT / "lessons").glob("[0-9]*.py"))
    assert str(lessons[0]) not in left_out and {str(path) for path in lessons[1:]} <= set(left_out)
    assert "nb_execution_excludepatterns" not in conf


@pytest.mark.parametrize(
    ("prose", "wanted"),
    [
        ("`x` and `y z`", "``x`` and ``y z``"),
        ("2 ** k, |v|, w_ and *args", r"2 \*\* k, \|v\|, w\_ and \*args"),
        ("a `b_ * c` d_", r"a ``b_ * c`` d\_"),
        ("said `over\nthe end`.", "said ``over\nthe end``."),
        ("Shown:\n\n    c[r] = f * c", "Shown:\n\n::\n\n    c[r] = f * c"),
        ("- `one`: a\n  b\n- two", "- ``one``: a\n  b\n- two"),
    ],
)
def test_docstrings_are_prose(extension, prose, wanted):
    assert "\n".join(extension("prose").restructured(prose.split("\n"))) == wanted + "\n"


def test_a_lesson_is_run_again_when_what_it_runs_has_changed(extension, monkeypatch, tmp_path):
    """And only then: another lesson's drawings, and prose, change nothing."""
    course = extension("course")
    monkeypatch.setattr(course, "LESSONS", tmp_path)
    (tmp_path / "drawings").mkdir()
    for name in ("drawings/lesson_01.py", "drawings/lesson_02.py", "colours.py"):
        (tmp_path / name).write_text("import colours\n")

    def runs(text="# %% [markdown]\n# # 01\n\n# %%\nfrom drawings import lesson_01\n"):
        return course.read(text).metadata["kernelspec"]["runs"]

    before = runs()
    (tmp_path / "drawings" / "lesson_02.py").write_text("import colours  # otherwise\n")
    assert runs() == before
    (tmp_path / "colours.py").write_text("red = 1\n")
    assert runs() != before
    monkeypatch.setenv("MINIPIXEL_QUICK", "1" if os.environ.get("MINIPIXEL_QUICK") != "1" else "0")
    assert runs() != before


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built site: that of MINIPIXEL_SITE, or one built here with short trainings."""
    if given := os.environ.get("MINIPIXEL_SITE"):
        return Path(given).resolve()
    for package in ("furo", "myst_nb"):
        pytest.importorskip(package, reason=f"{package} is not installed; the extra docs has it")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--conf-dir", ROOT / "docs"]
    command += ["--doctree-dir", folder / "doctrees", ROOT, folder / "html"]
    environment = os.environ | {"MINIPIXEL_QUICK": "1"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    return folder / "html"


@pytest.fixture(scope="module")
def address(site):
    """Where a server on this machine serves the site."""
    with headless.serving(site) as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium."""
    with headless.browser() as driver:
        yield driver


LOOK = """
const all = (selector) => [...document.querySelectorAll(selector)];
return {
  images: all("img").filter((image) => !image.complete || !image.naturalWidth).map((image) => image.src),
  undescribed: all("img").filter((image) => !image.hasAttribute("alt")).map((image) => image.src),
  links: all("a[href]").map((link) => link.href),
  fetched: performance.getEntriesByType("resource").map((entry) => entry.name),
  formulas: all(".formula").length,
  drawn: all(".formula .katex-html").length,
  width: Math.max(document.documentElement.scrollWidth, document.body.scrollWidth),
};
"""


def look(browser, url, width):
    """What a browser with a window of that width says of a page, and its console."""
    headless.resize(browser, width)
    browser.get(url)
    return browser.execute_script(LOOK) | {"console": browser.get_log("browser")}


def complaints(seen, address, width):
    """What is wrong with what was seen of a page."""
    found = [f"broken image {source}" for source in seen["images"]]
    found += [f"image without a description {source}" for source in seen["undescribed"]]
    found += [f"console: {entry['message']}" for entry in seen["console"]]
    found += [f"fetched from elsewhere: {url}" for url in seen["fetched"] if not url.startswith((address, "data:"))]
    if seen["formulas"] != seen["drawn"]:
        found.append(f"{seen['formulas']} formulas, {seen['drawn']} of them drawn")
    if seen["width"] > width:
        found.append(f"{seen['width']} pixels wide in a window of {width}")
    return found


@functools.cache
def names_in(path):
    """The places of a page that a link may lead to."""
    return set(re.findall(r'\b(?:id|name)="([^"]+)"', path.read_text(encoding="utf-8")))


def broken(site, address, link):
    """Whether a link to a page of this site leads nowhere."""
    if not link.startswith(address):
        return False
    parts = urlsplit(link)
    path = site / unquote(parts.path).lstrip("/")
    path = path / "index.html" if path.is_dir() else path
    return not path.is_file() or (bool(parts.fragment) and unquote(parts.fragment) not in names_in(path))


@pytest.mark.slow
@pytest.mark.parametrize("width", [380, 1280])
def test_every_page_in_a_browser(site, address, browser, width):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 100
    found, formulas, fetched = {}, 0, set()
    for page in pages:
        name = page.relative_to(site).as_posix()
        if (page.parent, page.name) == (site, "index.html"):
            continue  # sends the browser on to docs/index.html
        seen = look(browser, address + name, width)
        wrong = complaints(seen, address, width)
        wrong += [f"broken link {link}" for link in set(seen["links"]) if broken(site, address, link)]
        formulas += seen["formulas"]
        fetched |= set(seen["fetched"])
        if wrong:
            found[name] = wrong
    assert not found, json.dumps(found, indent=1)
    assert not formulas or any("/katex.min.js" in url for url in fetched)


@pytest.mark.slow
def test_what_is_wrong_is_seen(address, browser, site, tmp_path):
    """The checks above, on a page that fails each of them."""
    page = site / "wrong.html"
    page.write_text(
        "<!doctype html><title>wrong</title><link rel=icon href='data:,'><div style='width: 2000px'>wide</div>"
        "<img src='missing.png'><span class=formula>x</span><a href='docs/index.html#nowhere'>a</a>"
    )
    try:
        seen = look(browser, address + "wrong.html", 380)
    finally:
        page.unlink()
    text = "; ".join(complaints(seen, address, 380))
    for words in ("broken image", "without a description", "console", "1 formulas, 0 of them", "pixels wide"):
        assert words in text
    assert [link for link in seen["links"] if broken(site, address, link)] == [f"{address}docs/index.html#nowhere"]


@pytest.mark.slow
def test_the_first_page_leads_home_and_words_are_found(address, browser):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.wait import WebDriverWait

    browser.get(address)
    WebDriverWait(browser, 20).until(lambda driver: driver.current_url == f"{address}docs/index.html")
    WebDriverWait(browser, 20).until(lambda driver: len(driver.find_elements(By.CSS_SELECTOR, ".door")) == 3)
    doors = browser.find_elements(By.CSS_SELECTOR, ".door")
    assert all(len(door.find_elements(By.TAG_NAME, "a")) >= 2 for door in doors)
    browser.get(f"{address}search.html?q=embedding")
    WebDriverWait(browser, 20).until(lambda driver: driver.find_elements(By.CSS_SELECTOR, "#search-results li a"))


@pytest.mark.slow
@pytest.mark.parametrize("module", ["minipixel", *MODULES])
def test_everything_public_is_in_the_reference(site, module):
    value = mp if module == "minipixel" else getattr(mp, module, None) or importlib.import_module(f"minipixel.{module}")
    names = [name for name in getattr(value, "__all__", ()) if not isinstance(getattr(value, name), type(mp))]
    if not names:
        names = [name for name, it in vars(value).items() if getattr(it, "__module__", "") == value.__name__]
        names = [name for name in names if not name.startswith("_")]
    page = site / "docs" / "api" / f"{module}.html"
    missing = {f"{value.__name__}.{name}" for name in names} - names_in(page)
    assert names and not missing


@pytest.mark.slow
@pytest.mark.parametrize("lesson", sorted((ROOT / "lessons").glob("[0-9]*.py")), ids=lambda path: path.stem)
def test_lessons_are_run_and_can_be_taken_home(site, lesson):
    html = (site / "lessons" / f"{lesson.stem}.html").read_text(encoding="utf-8")
    (link,) = re.findall(r'href="([^"]+\.ipynb)"', html)
    notebook = json.loads((site / "lessons" / link).resolve().read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["execution_count"] for cell in code)
    shows = len(re.findall(r"^show\(", lesson.read_text(encoding="utf-8"), re.M))
    pictures = [output for cell in code for output in cell["outputs"] if "image/png" in output.get("data", {})]
    assert len(pictures) >= shows and len(re.findall(r'<img alt="[^"]+', html)) >= shows
    solutions = ROOT / "lessons" / "solutions" / lesson.name
    if solutions.exists():
        assert f'href="solutions/{lesson.stem}.html"' in html
        below = (site / "lessons" / "solutions" / f"{lesson.stem}.html").read_text(encoding="utf-8")
        text = solutions.read_text(encoding="utf-8")
        exercises = len(re.findall(r"^# ## Exercise ", text, re.M))
        assert below.count('<details class="solution">') == exercises > 0
        repeated = len(re.findall(r"^# ## Exercise \d+\n(?:#\n)?# > ", text, re.M))
        assert len(re.findall(r"</blockquote>\s*<details class=\"solution\">", below)) == repeated  # stays in sight
