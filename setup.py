"""The README as the front page of a package index. Everything else about the package is in pyproject.toml.

In the repository the links of the README are relative. An index has no files beside the page, so a release is built
with the address of the repository, MINIPIXEL_HOME=https://HOST/OWNER/NAME, and each link leads to the file there, as
this version has it. Without that address the links stay as they are (docs/releasing.md).
"""

import os
import re
from pathlib import Path

from setuptools import setup

HERE = Path(__file__).parent
LINK = re.compile(r"(?P<picture>!?)\[(?P<text>[^]]*)\]\((?!https?:|#)(?P<target>[^)]+)\)")
HOME = os.environ.get("MINIPIXEL_HOME", "").rstrip("/")


def version():
    """The version, read without importing the package, whose dependencies may not be here yet."""
    return re.search(r'^__version__ = "(.+)"$', (HERE / "minipixel/__init__.py").read_text(encoding="utf-8"), re.M)[1]


def front_page():
    """The README; where the address of the repository is known, with absolute links."""

    def absolute(link):
        view = "raw" if link["picture"] else "blob"
        return f"{link['picture']}[{link['text']}]({HOME}/{view}/v{version()}/{link['target']})"

    text = (HERE / "README.md").read_text(encoding="utf-8")
    return LINK.sub(absolute, text) if HOME else text


urls = {"Source": HOME, "Changelog": f"{HOME}/blob/v{version()}/CHANGELOG.md"} if HOME else {}
setup(long_description=front_page(), long_description_content_type="text/markdown", project_urls=urls)
