"""Polynomials in place of the C library: how far off they are, over all float32 numbers there are."""

import numpy as np
import pytest

from minipixel.kernels import numba_enabled

numba = pytest.importorskip("numba")
if not numba_enabled():
    pytest.skip("Numba is switched off", allow_module_level=True)

from minipixel.kernels import functions, jit  # noqa: E402

SMALL = 1e-35
"""Below it the quotient for tanh works with numbers too small for all their digits."""

NORMAL = float(np.finfo(np.float32).tiny)
"""The smallest number with all its digits."""


def elementwise(name):
    """One of the functions over an array, compiled as in a kernel."""
    function = getattr(functions, name)

    @numba.njit(fastmath=jit.FAST, error_model="numpy")
    def loop(x, y):
        for i in range(len(x)):
            y[i] = function(x[i])

    def call(x):
        y = np.empty_like(x)
        loop(x, y)
        return y

    return call


def sigmoid(x):
    return np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))


def log_sigmoid(x):
    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))


EXACT = {
    **{name: getattr(np, name) for name in ("exp", "expm1", "log", "log1p", "tanh")},
    **{"sigmoid": sigmoid, "log_sigmoid": log_sigmoid},
}
FOUND = {name: elementwise(name) for name in EXACT}

# The largest errors, in ulp, where the result is a normal number. (Of a sigmoid: an absolute bound, below.)
ULPS = {"exp": 1.5, "expm1": 1.5, "log": 2, "log1p": 2, "tanh": 5, "log_sigmoid": 3}
functions_of_float32 = pytest.mark.parametrize("name", list(EXACT))


def float32s(first, last, step):
    """Every step-th float32 from bit pattern `first` to `last`."""
    return np.arange(first, last, step, np.uint32).view(np.float32)


def ulps(found, exact):
    """How far float32 numbers are from exact ones, in steps between neighbouring float32 numbers there."""
    return np.abs(found - exact) / np.spacing(np.abs(exact).astype(np.float32)).astype(np.float64)


def check(name, x):
    """A function at float32 numbers, whatever they are: bounds in ulp, and what comes where no digits are left."""
    with np.errstate(all="ignore"):
        found, exact = FOUND[name](x), EXACT[name](x.astype(np.float64))
        rounded = exact.astype(np.float32)
    digits = np.isfinite(rounded) & (np.abs(exact) >= NORMAL)
    np.testing.assert_array_equal(found[~np.isfinite(rounded)], rounded[~np.isfinite(rounded)])  # NaN and infinities
    if name == "sigmoid":
        assert np.abs(found[digits] - exact[digits]).max(initial=0) <= 2e-7
        return
    if name == "tanh":
        small = np.abs(x) <= SMALL
        assert np.abs(found[small] - exact[small]).max(initial=0) <= 2e-40
        digits &= ~small
    elif name in ("exp", "log_sigmoid"):  # what is smaller than all normal numbers is 0
        assert np.abs(found[np.abs(exact) < NORMAL]).max(initial=0) == 0
    else:  # expm1 and the logarithms: close to x there, which is denormal itself
        none_left = np.abs(exact) < NORMAL
        assert np.abs(found[none_left] - exact[none_left]).max(initial=0) <= 2e-45
    assert ulps(found[digits], exact[digits]).max(initial=0) <= ULPS[name]


INFINITE = 0x7F800000
"""The bit pattern of infinity; those of all finite numbers lie below, negative ones from NEGATIVE on."""
NEGATIVE = 0x80000000


@functions_of_float32
@pytest.mark.parametrize("sign", [0, NEGATIVE])
def test_over_float32(name, sign):
    """Every 997th number there is, infinity, and NaN."""
    check(name, float32s(sign, sign + INFINITE, 997))
    check(name, float32s(sign + INFINITE, sign + INFINITE + 2, 1))


@functions_of_float32
@pytest.mark.parametrize("edge", [88.72283, -87.33655, -103.97, 17.0, -17.0, 7.905311, 2.0**23, -1.0, 1e-35, NORMAL])
def test_around_edges(name, edge):
    """A thousand neighbours on both sides of where results begin or end, or where a function takes another way."""
    bits = int(np.array(edge, np.float32).view(np.uint32))
    check(name, float32s(bits - 1000, bits + 1000, 1))


@pytest.mark.slow
@functions_of_float32
@pytest.mark.parametrize("sign", [0, NEGATIVE])
def test_over_all_of_float32(name, sign):
    for begin in range(0, INFINITE, 2**22):
        check(name, float32s(sign + begin, sign + min(begin + 2**22, INFINITE), 1))


@functions_of_float32
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_infinities_and_nan(name, dtype):
    """NaN stays NaN. At infinity tanh and the sigmoid are within 3e-7 of what they should be, all others exact."""
    x = np.array([np.nan, -np.inf, -1e4, -1, 0, 1e4, np.inf], dtype)
    close = 3e-7 if dtype is np.float32 and name in ("tanh", "sigmoid") else 0
    with np.errstate(all="ignore"):
        exact = EXACT[name](x.astype(np.float64)).astype(dtype)
    np.testing.assert_allclose(FOUND[name](x), exact, rtol=3e-7 if dtype is np.float32 else 1e-15, atol=close)


@functions_of_float32
def test_in_float64(name):
    """Those of the C library; the sigmoid by way of tanh, to an ulp of 1."""
    x = np.random.default_rng(0).normal(0, 10, 100_000)
    x = np.abs(x) if name.startswith("log") and name != "log_sigmoid" else x
    close = {"rtol": 0, "atol": 3e-16} if name == "sigmoid" else {"rtol": 1e-15, "atol": 0}
    np.testing.assert_allclose(FOUND[name](x), EXACT[name](x), **close)
