"""Every command that README and the pages of docs/ show is one that the command line takes, options and all."""

import re
import shlex
from pathlib import Path

import pytest

from minipixel.cli.parser import parser

ROOT = Path(__file__).parents[1]
SHELL = re.compile(r"```sh\n(.*?)```", re.DOTALL)


def commands(page):
    """The words after `minipixel` of each command in the blocks of a page."""
    lines = "".join(SHELL.findall(page.read_text(encoding="utf-8"))).splitlines()
    words = [shlex.split(part, comments=True) for line in lines for part in line.split("&&")]
    return [rest for first, *rest in filter(None, words) if first == "minipixel"]


PAGES = [page for page in (ROOT / "README.md", *ROOT.glob("docs/*.md")) if commands(page)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_of_a_page_are_taken(page):
    for words in commands(page):
        parser({}).parse_args(words)


def test_the_page_of_the_command_line_has_every_command():
    shown = {words[0] for words in commands(ROOT / "docs" / "command-line.md")}
    (choices,) = (action.choices for action in parser({})._actions if action.dest == "COMMAND" or action.choices)
    assert shown == set(choices)
