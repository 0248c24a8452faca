"""200 small programs of users: by plan and as written the same, or one clear line. See user_programs.py."""

import re

import numpy as np
import pytest
from test_sampling_float32 import first_differences
from user_programs import EDITS, TURNS, program, run

from minipixel import kernels

QUICK, ALL = 40, 200
WRONG = [
    {"soft_mask"},
    {"wider_weight"},
    {"wrong size"},
    {"wrong channels"},
    {"frozen_in_float64", "loaded_from_float64"},
]
"""What is a mistake, for which there is one line; all else runs. (What is frozen in another dtype cannot be saved.)"""

if not kernels.numba_enabled():
    pytest.skip("Numba is missing or switched off: nothing to compare with", allow_module_level=True)


pytestmark = pytest.mark.filterwarnings("ignore:.*runs as it is written, slower.* an op of your own:RuntimeWarning")


def of_any_batch(line):
    """A mistake in one line, without the number of images in the shape (H, W, N, K) of a map: a trace runs one."""
    return re.sub(r"\((\d+), (\d+), \d+, ", r"(\1, \2, N, ", line)


def check(seed, monkeypatch):
    recipe = program(seed)
    compiled = run(recipe)
    monkeypatch.setenv("MINIPIXEL_NUMBA", "0")
    written = run(recipe)
    if isinstance(written, str) or isinstance(compiled, str):
        assert of_any_batch(compiled) == of_any_batch(written), recipe
        done = {*recipe["turns"], *recipe["edits"]}
        assert "\n" not in written and any(wrong <= done for wrong in WRONG), (recipe, written)
        return written
    bound = {"float32": 2e-4, "float64": 1e-9}[recipe["options"]["dtype"]]
    for a, b in zip(compiled[0] + compiled[1], written[0] + written[1], strict=True):
        assert (a is None) == (b is None), recipe
        if b is not None:
            assert a.dtype == b.dtype == recipe["options"]["dtype"], recipe
            assert np.abs(a - b).max(initial=0) <= bound * max(1, np.abs(b).max(initial=0)), recipe
    condition = np.arange(3) if recipe["options"].get("num_classes") else None
    uniforms = np.random.default_rng(1).random((3, *recipe["shape"]))
    naive = written[3][0]
    for drawn in (written[3][1], *compiled[3]):
        first_differences(written[2], naive, drawn, condition, uniforms)
    return None


@pytest.mark.parametrize("seed", range(QUICK))
def test_a_program_is_the_same_compiled(seed, monkeypatch):
    check(seed, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(QUICK, ALL))
def test_more_programs_are_the_same_compiled(seed, monkeypatch):
    check(seed, monkeypatch)


def test_every_ingredient_is_in_some_program():
    recipes = [program(seed) for seed in range(ALL)]
    used = {name for recipe in recipes for name in recipe["turns"] + recipe["edits"]}
    assert used == set(TURNS) | set(EDITS)
