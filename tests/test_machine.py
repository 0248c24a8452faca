"""The parts of the compiled loop: draws against the heads', products."""

import itertools

import numpy as np
import pytest

import minipixel.heads as heads
from minipixel.kernels import numba_enabled

numba = pytest.importorskip("numba")
if not numba_enabled():
    pytest.skip("Numba is switched off", allow_module_level=True)

from minipixel.kernels import draw, units  # noqa: E402
from minipixel.kernels.blas import constants, product  # noqa: E402


@numba.njit(error_model="numpy")
def draw_all(parameters, pixels, channel, uniforms, head):
    scores, levels = np.empty(head[1] + head[2]), np.empty(len(uniforms), np.int64)
    for n in range(len(uniforms)):
        levels[n] = draw.draw(parameters[n], pixels[n], channel, uniforms[n], head, scores)
    return levels


def extreme_parameters(rng, shape, dtype):
    """Numbers of all sizes up to 1e4, a few of them zero."""
    size = 10 ** rng.uniform(-3, 4, shape) * (rng.random(shape) > 0.05)
    return (size * rng.choice([-1, 1], shape)).astype(dtype)


DRAWN = [
    (name, Q, C)
    for name, C in [(name, C) for name in units.HEADS for C in (1, 3, 2, 5) if name != "normal_mixture" or C == 1]
    for Q in ((2,) if name == "bernoulli" else (2, 5, 256, 512 if name == "categorical" else 65536))
]  # normals of several channels the loop leaves to the head


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("name", "Q", "C"), DRAWN)
def test_what_is_no_distribution_is_drawn_from_by_neither(name, Q, C, odd):
    """A parameter that is no finite number, each in turn: the loop says -1 where the head raises, else they agree."""
    M, rng = 3, np.random.default_rng(0)
    head = heads.make_head(name, C, Q, M)
    code, P, refused = (units.HEADS.index(name), Q, M, 1.0), len(head.groups), 0
    for channel, place in itertools.product(range(C), range(P)):
        parameters, pixels = rng.standard_normal((1, P)), rng.integers(0, Q, (1, C)).astype(heads.level_dtype(Q))
        parameters[0, place] = odd
        (found,) = draw_all(parameters, pixels, channel, np.array([0.7]), code)
        if found < 0:
            refused += 1
            with pytest.raises(ValueError, match=r"^draw: got NaN or infinite numbers from the model"):
                head.draw(parameters, pixels, channel, np.array([0.7]), 1.0)
        else:
            np.testing.assert_array_equal(head.draw(parameters, pixels, channel, np.array([0.7]), 1.0), found)
    assert refused or (name == "categorical" and odd == -np.inf)  # a level that cannot be


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("temperature", [0.0, 0.05, 1.0, 30.0])
@pytest.mark.parametrize(("name", "Q", "C"), DRAWN)
def test_draws_are_those_of_the_heads(name, Q, C, temperature, dtype):
    """For extreme parameters, and for uniforms from 0 to the last one below 1.

    Four of these lie at edges of many a CDF, where sums in another order may fall on the other side; within 1e-12.
    """
    M, n, rng = 4, 8 if Q == 65536 and temperature == 0 else 400, np.random.default_rng(Q)  # all bins take long
    head = heads.make_head(name, C, Q, M)
    code = units.HEADS.index(name), Q, M, temperature
    pixels = rng.integers(0, Q, (n, C)).astype(heads.level_dtype(Q))
    uniforms = rng.random(n)
    uniforms[:4] = [0, 2**-53, 0.5 - 2**-54, 1 - 2**-53]
    seen = set()
    for scale in (1, 0.01):
        parameters = (scale * extreme_parameters(rng, (n, len(head.groups)), np.float64)).astype(dtype)
        for channel in range(C):
            lower, wanted, higher = (
                head.draw(parameters, pixels, channel, np.clip(uniforms + near, 0, 1), temperature)
                for near in (-1e-12, 0, 1e-12)
            )
            found = draw_all(parameters, pixels, channel, uniforms, code)
            assert ((lower <= found) & (found <= higher)).all()
            assert (found[4:] == wanted[4:]).all()
            seen |= set(wanted.tolist())
    assert {0, Q - 1} <= seen and (Q < 5 or len(seen) > 2)


def test_which_heads_the_loop_knows():
    assert set(units.HEADS) == set(heads.HEADS)


@numba.njit
def call_product(M, K_in, K_out, x, x0, w, w0, y, y0, add):
    product(M, K_in, K_out, x, x0, w, w0, y, y0, add, constants(y))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("add", [False, True])
@pytest.mark.parametrize(
    ("M", "K_in", "K_out"), [(1, 1, 1), (1, 7, 3), (5, 1, 9), (3, 33, 17), (64, 96, 65), (2, 0, 3), (8, 16, 1)]
)
def test_products(M, K_in, K_out, add, dtype):
    """From and to places in the middle of flat arrays, of which nothing else is touched; what was there may be NaN."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal(M * K_in + 5).astype(dtype), rng.standard_normal(K_in * K_out + 4).astype(dtype)
    y = rng.standard_normal(M * K_out + 6).astype(dtype)
    if not add:
        y[2 : 2 + M * K_out] = np.nan
    before = y.copy()
    call_product(M, K_in, K_out, x, 3, w, 1, y, 2, add)
    a, b = x[3 : 3 + M * K_in].reshape(M, K_in), w[1 : 1 + K_in * K_out].reshape(K_in, K_out)
    wanted = a @ b + (before[2 : 2 + M * K_out].reshape(M, K_out) if add else 0)
    bound = (K_in + 2) * np.finfo(dtype).eps * (np.abs(a) @ np.abs(b) + np.abs(wanted))
    assert (np.abs(y[2 : 2 + M * K_out].reshape(M, K_out) - wanted) <= bound).all()
    np.testing.assert_array_equal(y[:2], before[:2])
    np.testing.assert_array_equal(y[2 + M * K_out :], before[2 + M * K_out :])
