"""Lessons on the site: percent scripts become notebooks, run where they changed, with captions and solutions."""

import ast
import hashlib
import os
from functools import cache
from pathlib import Path

import jupytext
from docutils import nodes
from sources import page_link
from sphinx import addnodes

ROOT = Path(__file__).resolve().parents[2]
LESSONS = ROOT / "lessons"


def read(text):
    """A percent script as a notebook. Its kernel's description holds a digest of all that it runs.

    The cache of executed notebooks compares code cells and that description, so that an edit of the library, or of a
    module that draws for this lesson, runs it again.
    """
    notebook = jupytext.reads(text, fmt="py:percent")
    quick = os.environ.get("MINIPIXEL_QUICK") == "1"
    digest = hashlib.sha256(f"{library()} {quick} {helpers(text)}".encode()).hexdigest()
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.metadata["kernelspec"]["runs"] = digest
    return notebook


@cache
def library():
    """A digest of the library and of what it has with it."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "minipixel").rglob("*.*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(path.read_bytes())
    return digest.hexdigest()


def helpers(text):
    """The source of the modules in lessons/ that a lesson imports, and of those that these import."""
    found = {}
    waiting = [text]
    while waiting:
        for node in ast.walk(ast.parse(waiting.pop())):
            names = []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{name.name}" for name in node.names)]
            elif isinstance(node, ast.Import):
                names = [name.name for name in node.names]
            for name in names:
                path = LESSONS / (name.replace(".", "/") + ".py")
                if path.is_file() and name not in found:
                    found[name] = path.read_text(encoding="utf-8")
                    waiting.append(found[name])
    return sorted(found.items())


def furnish(app, doctree):
    """Give a lesson its links, below the title and below the exercises; fold each solution."""
    docname = app.env.docname
    folder, _, name = docname.rpartition("/")
    if folder == "lessons" and name[0].isdigit():
        solutions = f"lessons/solutions/{name}"
        links = [notebook_link(app, name), page_link(app.env, f"{docname}.py", nodes.inline("", "Script"))]
        if solutions in app.env.found_docs:
            links.append(page_link(app.env, solutions, nodes.inline("", "Solutions")))
            for section in doctree.findall(nodes.section):
                if section[0].astext() == "Exercises":
                    words = nodes.inline("", "Solutions of all exercises")
                    section += nodes.paragraph("", "", page_link(app.env, solutions, words))
        insert_links(doctree, links)
    elif folder == "lessons/solutions":
        if (lesson := f"lessons/{name}") in app.env.found_docs:
            insert_links(doctree, [page_link(app.env, lesson, nodes.inline("", "The lesson, with its exercises"))])
        for section in doctree.findall(nodes.section):
            if section[0].astext().startswith("Exercise"):
                fold = nodes.raw("", '<details class="solution"><summary>Solution</summary>', format="html")
                above = 2 if isinstance(section[1], nodes.block_quote) else 1  # title and exercise, if it is quoted
                section[above:] = [fold, *section[above:], nodes.raw("", "</details>", format="html")]


def insert_links(doctree, links):
    """Below the title."""
    line = nodes.paragraph(classes=["lesson-links"])
    for link in links:
        line += [link, nodes.Text(" ")]
    next(doctree.findall(nodes.title)).parent.insert(1, line)


def notebook_link(app, name):
    """A link to the notebook as it was run."""
    path = Path(app.env.mystnb_config.output_folder) / "lessons" / f"{name}.ipynb"
    target = "/" + os.path.relpath(path, app.srcdir).replace(os.sep, "/")
    return addnodes.download_reference("", "", nodes.inline("", "Notebook"), reftarget=target, refdoc=app.env.docname)


def caption_figures(app, doctree, docname):
    """A picture and the words below it, as lessons/show.py displays them, describe it to those who do not see it."""
    for output in doctree.findall(lambda node: isinstance(node, nodes.container) and "cell_output" in node["classes"]):
        for image in [child for child in output.children if isinstance(child, nodes.image)]:
            place = output.index(image) + 1
            if place < len(output) and isinstance(output[place], nodes.paragraph):
                output[place]["classes"] += ["figure-caption"]
                image["alt"] = output[place].astext()
            elif "alt" not in image:
                image["alt"] = "A figure, described in the text around it"


def setup(app):
    """Called by Sphinx."""
    app.connect("doctree-read", furnish, priority=300)  # before sources.py looks at links, and Sphinx at downloads
    app.connect("doctree-resolved", caption_figures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
