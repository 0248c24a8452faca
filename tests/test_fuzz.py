"""No file that hurts: 20,000 mutations of every format end in one FormatError or in exactly what the bytes say.

The quick tests try a twentieth of them.
The table in docs/reliability.md is made here.
To write it anew: MINIPIXEL_WRITE_DOCS=1 python -m pytest -m 'slow or not slow' tests/test_fuzz.py
"""

import dataclasses
import os
import random
import re
from pathlib import Path

import fuzz_decoders as says
import fuzz_models
import fuzz_seeds as seeds
import numpy as np
import pytest
from fuzz_bugs import BUGS
from fuzz_table import BY_NAME, FORMATS, MUTATIONS, SLACK, fuzz

import minipixel as mp
from minipixel import checkpoint

PAGE = Path(__file__).parents[1] / "docs" / "reliability.md"
BEGIN, END = "<!-- the table: made by tests/test_fuzz.py -->\n", "<!-- the end of the table -->\n"


@pytest.mark.parametrize("mutations", [MUTATIONS // 20, pytest.param(MUTATIONS, marks=pytest.mark.slow)])
@pytest.mark.parametrize("format", FORMATS, ids=lambda format: format.name)
def test_mutations(format, mutations):
    outcome = fuzz(format, mutations)
    assert outcome.refused + outcome.same + outcome.altered == mutations
    assert outcome.memory < SLACK
    assert outcome.refused and (outcome.altered == 0 if format.oracle is None else outcome.altered)


def careless_of_the_end(name, content):
    sound = seeds.IDX[0]
    return BY_NAME["IDX"].decode(name, content[: len(sound)])


def careless_of_exceptions(name, content):
    return {"": says.idx(content)[""]}


def careless_of_memory(name, content):
    bytes(int.from_bytes(content[4:8], "big") % 2**24)
    return BY_NAME["IDX"].decode(name, content)


def careless_of_the_digest(name, content):
    return says.model(content) if fuzz_models.sign(content) != content else BY_NAME["model file"].decode(name, content)


@pytest.mark.parametrize(
    ("name", "decode", "complaint"),
    [
        ("IDX", careless_of_the_end, "cannot reshape"),
        ("IDX", careless_of_exceptions, "Error"),
        ("model file", careless_of_the_digest, "a silent change"),
    ],
)
def test_a_careless_reader_is_caught(name, decode, complaint):
    """Each of these makes one of the mistakes that the fuzzing is there to find."""
    with pytest.raises(AssertionError, match=complaint):
        fuzz(dataclasses.replace(BY_NAME[name], decode=decode, files=BY_NAME[name].files[:1]))


def test_a_reader_that_takes_memory_for_what_a_header_says_is_caught():
    assert fuzz(dataclasses.replace(BY_NAME["IDX"], decode=careless_of_memory)).memory > 20 * SLACK


VALUES = [
    0, 1, -1, 2, 3, 7, 65536, 2**31 - 1, 10**12, 10**400, 0.5, 1.5, float("nan"), None, True, "", "x", "relu",
    "float64", [], [1], [2, 2, 1], [8192, 8192, 1], [65536] * 3, [1] * 500, [[]], {},
]  # fmt: skip
CONFIGURATIONS = 2_000


@pytest.mark.parametrize("configurations", [CONFIGURATIONS // 10, pytest.param(CONFIGURATIONS, marks=pytest.mark.slow)])
def test_configurations_of_signed_models(configurations, tmp_path):
    """Anybody can sign a file: a configuration is refused, or it is the model's, with the weights of the file."""
    rng, path = random.Random("configurations"), tmp_path / "model"
    M = mp.models
    models = [
        M.PixelCNN((2, 2, 1), 2, hidden=1, blocks=1),
        M.RowLSTM((2, 2, 1), 2, hidden=1, layers=1),
        M.DiagonalBiLSTM((2, 2, 1), 3, hidden=1, layers=1, num_classes=2),
        M.GatedPixelCNN((2, 2, 1), 2, filters=1, layers=1),
        M.PixelCNNpp((4, 4, 1), 2, filters=1, resnets=1, hierarchies=2),
        M.MultiScale((4, 4, 1), 2, hidden=1, layers=1, upsampled=1),
        M.EmbeddingNet((4, 4, 1), 2, dimensions=2, filters=1),
    ]
    refused = 0
    for number in range(configurations):
        model = models[number % len(models)]
        state, config = model.state_dict(), dict(model.config)
        for _ in range(rng.choice([1, 1, 2])):
            key = rng.choice([*config, "x"])
            config[key] = rng.choice([*VALUES, rng.choice(list(model.config.values()))])
        if rng.random() < 0.2:
            config.pop(rng.choice(list(config)))
        path.write_bytes(fuzz_models.model(config, state))
        try:
            got = mp.load(path)
        except mp.FormatError as error:
            refused += 1
            assert str(error).startswith(f"{path}: ") and str(error).isprintable() and len(str(error)) < 600
        else:
            unlike = {key: (value, got.config[key]) for key, value in config.items() if got.config[key] != value}
            assert all(value is None for value, _ in unlike.values()), unlike
            assert all(np.array_equal(state[name], weight) for name, weight in got.state_dict().items())
    assert configurations / 2 < refused < configurations


def test_the_files_are_those_that_minipixel_writes(tmp_path):
    checkpoint.write(tmp_path / "model", fuzz_models.CONFIG, fuzz_models.TENSORS)
    assert (tmp_path / "model").read_bytes() == fuzz_models.MODELS[0]


def test_every_bug_has_its_test():
    tests = "\n".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.rglob("test_*.py"))
    for _, _, test in BUGS:
        assert f"def {test}(" in tests, test


@pytest.mark.slow
def test_the_page_shows_the_table():
    """Counts may differ by a hundredth: zlib, NumPy and Python versions pack, and refuse, a few files differently."""
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    shown, after = rest.split(END)
    if os.environ.get("MINIPIXEL_WRITE_DOCS"):
        PAGE.write_text(before + BEGIN + table() + END + after, encoding="utf-8")
        return
    old, new = (re.split(r"([0-9][0-9,]*)", text) for text in (shown, table()))
    close = len(old) == len(new) and all(
        a == b if i % 2 == 0 else abs(number(a) - number(b)) <= MUTATIONS / 100 and (number(a) > 0) == (number(b) > 0)
        for i, (a, b) in enumerate(zip(old, new, strict=True))
    )
    if not close:
        pytest.fail(f"docs/reliability.md: not what the tests find; {__doc__.splitlines()[-1]}")


def number(text):
    return int(text.replace(",", ""))


def table():
    """All formats, and the bugs that the fuzzing found, in Markdown."""
    heads = ["format", "mutations", "refused", "read as the original", "read as the altered bytes say", "bugs found"]
    lines = ["", row(heads), row(["---"] + ["--:"] * 5)]
    for format in FORMATS:
        outcome = fuzz(format, MUTATIONS)
        altered = "" if format.oracle is None else f"{outcome.altered:,}"
        bugs = sum(name == format.name for name, _, _ in BUGS)
        lines.append(
            row([format.name, f"{MUTATIONS:,}", f"{outcome.refused:,}", f"{outcome.same:,}", altered, str(bugs)])
        )
    lines += ["", "Bugs that the fuzzing found; each is mended, and has a test:", ""]
    lines += [f"- {name}: {what}." for name, what, _ in BUGS]
    lines += [
        "",
        f"Beside these, `mp.load` reads {CONFIGURATIONS:,} model files of altered configurations, signed anew.",
    ]
    return "\n".join([*lines, "", ""])


def row(cells):
    return f"| {' | '.join(cells)} |"
