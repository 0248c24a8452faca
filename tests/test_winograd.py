"""Rows of three taps by fewer products: the same convolution, and nothing of a pixel that is not seen."""

import numpy as np
import pytest

from minipixel import kernels, ops

if not kernels.numba_enabled():
    pytest.skip("Numba is missing or switched off", allow_module_level=True)

from minipixel.kernels import convolution, winograd

CASES = [  # H, W, N, K_in, K_out, the rows of taps
    (5, 6, 3, 4, 5, (-1, 0)),
    (4, 7, 2, 3, 3, (-2,)),
    (3, 5, 2, 4, 2, (0,)),
    (4, 4, 1, 2, 3, (-1, 1)),
    (2, 3, 2, 2, 2, (-3,)),
    (3, 2, 1, 2, 2, (1, 2)),
    (1, 3, 1, 40, 33, (-1, 0)),
]


def drawn(H, W, N, K_in, K_out, rows):
    rng = np.random.default_rng(0)
    mask = np.zeros((7, 3, K_in, K_out), bool)
    mask[np.array(rows) + 3] = True
    return rng.normal(size=(H, W, N, K_in)), rng.normal(size=mask.shape), rng.normal(size=K_out), mask


@pytest.fixture
def narrow_maps_too(monkeypatch):
    monkeypatch.setattr(winograd, "NARROW", 1)


@pytest.mark.parametrize(("dtype", "bound"), [("float64", 1e-13), ("float32", 1e-5)])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_is_the_convolution(narrow_maps_too, monkeypatch, case, dtype, bound):
    called, rows_of_three = [], winograd.rows_of_three
    monkeypatch.setattr(winograd, "rows_of_three", lambda *given: called.append(1) or rows_of_three(*given))
    *arrays, mask = drawn(*case)
    arrays = [array.astype(dtype) for array in arrays]
    (y, vjp), (wanted, wanted_vjp) = (body(*arrays, mask=mask) for body in (convolution.conv2d, ops.conv2d.arrays))
    assert called
    g = np.random.default_rng(1).normal(size=y.shape).astype(dtype)
    parts, wanted_parts = ([part() if callable(part) else part for part in back(g)] for back in (vjp, wanted_vjp))
    for a, b in zip([y, *parts], [wanted, *wanted_parts], strict=True):
        assert a.dtype == dtype
        np.testing.assert_allclose(a, b, rtol=0, atol=bound * max(1, np.abs(b).max()))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_nothing_of_a_pixel_that_is_not_seen(narrow_maps_too, case):
    """What is not a number makes no numbers of just what sees it."""
    x, weight, bias, mask = drawn(*case)
    for r, c in np.ndindex(x.shape[:2]):
        spoilt = x.copy()
        spoilt[r, c] = np.nan
        found = np.isnan(convolution.conv2d(spoilt, weight, bias, mask=mask)[0])
        np.testing.assert_array_equal(found, np.isnan(ops.conv2d.arrays(spoilt, weight, bias, mask=mask)[0]))


def test_other_taps_are_not_for_it():
    rows = [(-1, -1), (-1, 0), (-1, 1)]
    mask = np.zeros((3, 3, 32, 32), bool)
    mask[0] = True
    assert winograd.suits(rows, mask, 32, 32, 8) and winograd.suits(rows, None, 32, 32, 8)
    assert not winograd.suits(rows, mask, winograd.NARROW - 1, 32, 8)  # narrow
    assert not winograd.suits(rows, mask, 32, 32, 1)  # a single column
    assert not winograd.suits(rows[1:], mask, 32, 32, 8)
    assert not winograd.suits([], mask & False, 32, 32, 8)
    mask[0, 1, 3, 5] = False  # a weight that is shut would cancel but for a rounding error
    assert not winograd.suits(rows, mask, 32, 32, 8)
