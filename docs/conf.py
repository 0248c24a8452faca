"""The site: `make html` in this folder builds it from docs/, lessons/ and the docstrings, in docs/_build/html.

MINIPIXEL_QUICK=1 runs the lessons with short trainings; MINIPIXEL_LESSONS="0[13]_*" runs those alone, for somebody who
works on one, and shows the others without what they print.
"""

import os
import shutil
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path[:0] = [str(ROOT), str(DOCS / "_extensions")]
# Lessons run in kernels of their own, which find the library, and what helps lessons and solutions, here as well.
os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "lessons"), os.environ.get("PYTHONPATH", "")])

import minipixel  # noqa: E402

project = "minipixel"
author = copyright = "The minipixel developers"
release = minipixel.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.linkcode", "course", "formulas", "prose", "sources"]
root_doc = "docs/index"
include_patterns = [
    "docs/*.md",
    "docs/*/*.md",
    "lessons/*.md",
    "lessons/homework/*.md",
    "lessons/[0-9]*.py",
    "lessons/solutions/[0-9]*.py",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
]
exclude_patterns = [".*", "**/.*", "docs/_build", "build", "dist", "runs"]

# Pages of Markdown, which a forge shows, too.
myst_enable_extensions = ["colon_fence", "dollarmath", "html_image"]
myst_heading_anchors = 6
myst_dmath_allow_space = False
myst_dmath_allow_digits = False

# Lessons are scripts of percent cells; what they print and draw is kept until they, or what they run, change.
nb_custom_formats = {".py": "course.read"}
nb_execution_mode = "cache"
nb_execution_cache_path = str(DOCS / "_build" / "executed")
nb_execution_timeout = 1800
nb_execution_raise_on_error = True
nb_merge_streams = True
nb_output_stderr = "remove"  # progress bars; a lesson that fails, or warns in its test, does not get here
if chosen := os.environ.get("MINIPIXEL_LESSONS"):
    runs = set((ROOT / "lessons").glob(chosen)) | set((ROOT / "lessons" / "solutions").glob(chosen))
    nb_execution_excludepatterns = [str(path) for path in (ROOT / "lessons").glob("**/[0-9]*.py") if path not in runs]

# Docstrings are plain prose (_extensions/prose.py).
autodoc_default_options = {"members": True, "no-value": True}
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100

html_theme = "furo"
html_title = "minipixel"
html_logo = html_favicon = "_static/logo.svg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_additional_pages = {"index": "redirect.html"}
templates_path = ["_templates"]
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#2f6f9f", "color-brand-content": "#2f6f9f"},
    "dark_css_variables": {"color-brand-primary": "#7fb4dc", "color-brand-content": "#7fb4dc"},
}

# What a page has on the site and not on a forge: the pages below it.
PAGES_BELOW = {
    "lessons/README": "```{toctree}\n:hidden:\n:glob:\n\n[!R]*\nhomework/README\n/docs/solutions\n```",
    "docs/decisions/README": "```{toctree}\n:glob:\n\n0*\n```",
}


def add_pages_below(app, docname, content):
    """Append its table of contents to the text of a page, `content[0]`."""
    if docname in PAGES_BELOW:
        content[0] += "\n\n" + PAGES_BELOW[docname] + "\n"


def add_play(app, exception):
    """The page to play with is no page of Sphinx's: it stands where it stands here."""
    if exception is None and (DOCS / "play").is_dir():
        shutil.copytree(DOCS / "play", Path(app.outdir) / "docs" / "play", dirs_exist_ok=True)


def setup(app):
    """Called by Sphinx."""
    app.connect("build-finished", add_play)
    app.connect("source-read", add_pages_below)
