"""Pages of docs/ whose blocks of Python are one program, and whose blocks of text are what it has printed by then."""

import contextlib
import io
import os
import re

import pytest

BLOCK = re.compile(r"(?<=```)(python|text)\n(.*?)(?=```\n)", re.DOTALL)


def as_printed(text, names=()):
    """The page, with what its code prints, block after block in one program, in its blocks of text.

    `names` are those that the program has from the beginning, a dict.
    """
    names, printed = dict(names), io.StringIO()

    def block(found):
        language, content = found.groups()
        if language == "python":
            with contextlib.redirect_stdout(printed):
                exec(compile(content, "the page", "exec"), names)
            return found.group()
        content = printed.getvalue()
        printed.seek(0)
        printed.truncate()
        return f"text\n{content}"

    return BLOCK.sub(block, text)


def assert_as_printed(page, test, names=(), blocks=11):
    """Fails where a page does not show what its code prints; with MINIPIXEL_WRITE_DOCS=1 it is written anew instead."""
    text = page.read_text(encoding="utf-8")
    wanted = as_printed(text, names)
    assert len(BLOCK.findall(text)) >= blocks
    if os.environ.get("MINIPIXEL_WRITE_DOCS"):
        page.write_text(wanted, encoding="utf-8")
    elif text != wanted:
        pytest.fail(f"docs/{page.name}: not what its code prints; MINIPIXEL_WRITE_DOCS=1 python -m pytest {test}")
