"""Docstrings are plain prose with `code` in single backticks: here they become what Sphinx reads, reStructuredText."""

import re
from types import ModuleType

from numpy.typing import ArrayLike
from sphinx.util.typing import stringify_annotation

CODE = re.compile(r"`([^`]+)`")
ARRAY = re.compile(r"~?(?:numpy\.)?ndarray\[~?tuple\[.*?\], ~?(?:numpy\.)?dtype\[[^]]*\]\]")
SPECIAL = re.compile(r"([\\*_|])")


def marked(text):
    """`code` as ``code``, and what means something to reStructuredText escaped."""
    parts = CODE.split(text)
    return "".join(f"``{part}``" if i % 2 else SPECIAL.sub(r"\\\1", part) for i, part in enumerate(parts))


def paragraphs(lines):
    """Lists of the lines between blank ones."""
    found = [[]]
    for line in lines:
        if line.strip():
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [paragraph for paragraph in found if paragraph]


def restructured(lines):
    """The lines of a docstring in reStructuredText: what is indented is shown as it stands, the rest is prose."""
    result = []
    for paragraph in paragraphs(lines):
        if all(line.startswith(" ") for line in paragraph):
            result += ["::", "", *paragraph, ""]
            continue
        result += [*marked("\n".join(paragraph)).split("\n"), ""]  # as a whole: `code` may run over the end of a line
    return result


def contents(value):
    """What a table, a tuple of names or a number is, in place of the docstring of `dict`, `tuple` or `int`."""
    if isinstance(value, int):
        return [f"{value:,}."]
    names = ", ".join(f"`{getattr(name, '__name__', name)}`" for name in value)
    return [f"A dictionary, by name: {names}." if isinstance(value, dict) else f"The names: {names}."]


def write_docstring(app, what, name, value, options, lines):
    """Called for each docstring: puts it into reStructuredText."""
    if isinstance(value, dict | tuple | int):
        lines[:] = contents(value)
    lines[:] = restructured(lines)
    if what in ("class", "exception"):
        bases = [f":class:`~{base.__module__}.{base.__qualname__}`" for base in value.__bases__ if base is not object]
        lines += [f"*Derived from* {', '.join(bases)}", ""] if bases else []


def write_signature(app, what, name, value, options, signature, returns):
    """Called for each signature: long types by their short names, "..." for a default that is made anew each time."""
    for mode in ("smart", "fully-qualified-except-typing"):
        spelled = stringify_annotation(ArrayLike, mode)
        signature, returns = (text and text.replace(spelled, "ArrayLike") for text in (signature, returns))
    signature, returns = (text and ARRAY.sub("ndarray", text) for text in (signature, returns))
    return signature and signature.replace("<factory>", "..."), returns


def leave_out_modules(app, what, name, value, skipped, options):
    """They have pages of their own."""
    return True if isinstance(value, ModuleType) else None


def setup(app):
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", write_docstring)
    app.connect("autodoc-process-signature", write_signature)
    app.connect("autodoc-skip-member", leave_out_modules)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
