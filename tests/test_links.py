"""What a page links to is there: files, headings, and every file of the repository that a text names."""

import re
import unicodedata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("lessons/*.py")]
NAMED_IN = [*PAGES, *ROOT.glob("minipixel/**/*.py"), *ROOT.glob("tests/**/*.py"), *ROOT.glob("benchmarks/*.py")]
MADE = {"minipixel/kernels/__pycache__"}

LINK = re.compile(r"\[[^\]\[]*(?:\[[^\]]*\][^\]\[]*)?\]\(\s*<?([^\s<>()]+(?:\([^\s()]*\))?)>?(?:\s+\"[^\"]*\")?\s*\)")
DEFINITION = re.compile(r"^\[[^\]]+\]:\s*(\S+)", re.M)
TAG = re.compile(r"<(?:img|a)\b[^>]*?\b(?:src|href)=\"([^\"]+)\"")
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.M | re.S)
NAMED = re.compile(r"(?<![\w./-])((?:docs|tests|lessons|benchmarks|minipixel)/[\w./-]+\.(?:md|py|txt|png|npz|toml))\b")


def name(path):
    return str(path.relative_to(ROOT))


def prose(path):
    """The text of a page, or of a lesson's comments, without code."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        text = "\n".join(line[2:] for line in text.splitlines() if line.startswith("# "))
    return CODE.sub(lambda code: "\n" * code[0].count("\n") if "\n" in code[0] else "`code`", text)


def links(text):
    return [*LINK.findall(text), *DEFINITION.findall(text), *TAG.findall(text)]


def anchors(path):
    """The names that GitHub gives to the headings of a page: a second one of the same words has -1, and so on."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    found = set()
    for heading in re.findall(r"^#{1,6}\s+(.*?)\s*#*$", text, flags=re.M):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        kept = "".join(c for c in words if c in " -_" or unicodedata.category(c)[0] in "LN").replace(" ", "-")
        number = 0
        while (anchor := f"{kept}-{number}" if number else kept) in found:
            number += 1
        found.add(anchor)
    return found | set(re.findall(r"<a\s+(?:name|id)=\"([^\"]+)\"", text))


def broken(path, link):
    """What is wrong with a relative link of a page; None if nothing is, or if it leads to another site."""
    if re.match(r"[a-z]+:|//", link):
        return None
    file, _, anchor = link.partition("#")
    target = path if not file else (path.parent / file)
    if not target.exists():
        return "no such file"
    if anchor and (target.suffix != ".md" or anchor not in anchors(target)):
        return "no such heading"
    return None


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_links(path):
    found = {link: broken(path, link) for link in links(prose(path))}
    assert not {link: why for link, why in found.items() if why}


def test_files_that_are_named_are_there():
    """In pages, docstrings and comments alike."""
    missing = {
        (name(path), file)
        for path in NAMED_IN
        if path != Path(__file__)
        for file in NAMED.findall(path.read_text(encoding="utf-8"))
        if not (ROOT / file).exists()
    }
    assert not missing


def test_there_are_links_to_test():
    assert sum(len(links(prose(path))) for path in PAGES) > 40


@pytest.mark.parametrize(
    ("link", "why"),
    [
        ("other.md", None),
        ("other.md#a-heading-of-code-and-a-link", None),
        ("other.md#twice-1", None),
        ("#here", None),
        ("https://example.org/missing#x", None),
        ("missing.md", "no such file"),
        ("other.md#twice-2", "no such heading"),
        ("#there", "no such heading"),
        ("other.md#code", "no such heading"),
    ],
)
def test_a_broken_link_is_seen(tmp_path, link, why):
    page = tmp_path / "page.md"
    page.write_text(f"# Here\n\nSee [this `one`]({link}), not `[that](code.md)`.\n\n```\n[nor](this.md)\n```\n")
    (tmp_path / "other.md").write_text(
        "# A heading of `code`, and [a link](x)!\n## Twice\n## Twice\n```\n# code\n```\n"
    )
    assert links(prose(page)) == [link] and broken(page, link) == why
