"""Every planted mistake is caught, and docs/causality.md says by which witness: that table is made here.

To write it anew: MINIPIXEL_WRITE_DOCS=1 python -m pytest -m 'slow or not slow' tests/causality/test_mutants.py
"""

import collections
import itertools
import os
import re
from pathlib import Path

import pytest
from mutant_catalogue import CATALOGUE, WITNESSES, drawing, verdicts
from mutant_table import HARMLESS
from quick import first_of_each
from random_models import assert_all_witnesses_hold

PAGE = Path(__file__).parents[2] / "docs" / "causality.md"
BEGIN, END = "<!-- the table: made by tests/causality/test_mutants.py -->\n", "<!-- the end of the table -->\n"
SIGNS = {True: "x", False: "", None: "?"}

# What must be seen of each family, whatever else sees it: by any witness of the list.
AT_LEAST = {"likelihood": {"enumeration", "drawing"}, "sampler": {"replay"}, "normalisation": {"perturbation"}}


def mistake(mutant):
    """What it is called, wherever in whichever model it is planted."""
    return re.split(" in |, ", mutant.name)[0]


@pytest.mark.parametrize("mutant", first_of_each(CATALOGUE, mistake))
def test_a_mutant_is_caught(mutant):
    caught = {name for name, verdict in verdicts(mutant).items() if verdict}
    assert caught & AT_LEAST.get(mutant.family, set(WITNESSES))
    if mutant.sampler is not None:  # the model is right
        assert caught == {"replay"}


def test_there_are_enough_and_each_has_a_name_of_its_own():
    assert len(CATALOGUE) >= 40 and len({mutant.id for mutant in CATALOGUE}) == len(CATALOGUE)


@pytest.mark.slow
def test_no_witness_is_idle():
    caught = collections.Counter(name for mutant in CATALOGUE for name, found in verdicts(mutant).items() if found)
    assert set(caught) == set(WITNESSES)


@pytest.mark.parametrize("mutant", HARMLESS, ids=lambda mutant: mutant.id)
def test_what_leaks_nothing_is_not_caught(mutant):
    model = mutant.built()
    assert_all_witnesses_hold(model)
    assert drawing(model).holds


@pytest.mark.slow
def test_the_page_shows_the_table():
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    wanted = before + BEGIN + table() + END + after
    if os.environ.get("MINIPIXEL_WRITE_DOCS"):
        PAGE.write_text(wanted, encoding="utf-8")
    elif text != wanted:
        pytest.fail(f"docs/causality.md: not what the tests find; {__doc__.splitlines()[-1]}")


def table():
    """All of the catalogue in Markdown: totals first, then a table a family."""
    caught = sum(any(verdicts(mutant).values()) for mutant in CATALOGUE)
    lines = ["", f"{len(CATALOGUE)} mutants, {caught} of them caught:", ""]
    totals = collections.Counter(name for mutant in CATALOGUE for name, found in verdicts(mutant).items() if found)
    lines += [_row(["", *WITNESSES]), _row(["---"] + [":-:"] * len(WITNESSES))]
    lines += [_row(["caught", *(str(totals[name]) for name in WITNESSES)])]
    by_family = sorted(CATALOGUE, key=lambda mutant: FAMILIES.index(mutant.family))
    for family, mutants in itertools.groupby(by_family, key=lambda mutant: mutant.family):
        lines += ["", f"### {family[0].upper()}{family[1:]}", ""]
        lines += [_row(["mistake", *WITNESSES]), _row(["---"] + [":-:"] * len(WITNESSES))]
        for mutant in mutants:
            found = verdicts(mutant)
            lines.append(_row([_words(mutant.name), *(SIGNS[found[name]] for name in WITNESSES)]))
    return "\n".join([*lines, "", ""])


def _words(name):
    """A name of Python's in words, but for the dotted path of a layer."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).replace("_", " ").lower()


FAMILIES = list(dict.fromkeys(mutant.family for mutant in CATALOGUE))


def _row(cells):
    return f"| {' | '.join(cells)} |"
