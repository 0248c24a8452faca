"""The kernels of a GPU that stand for no opcode: what happens to weights before a pass and after it; and products."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest

import minipixel as mp
from minipixel import ops, stand_in
from minipixel.kernels.cuda import THREADS, Kernels
from minipixel.stand_in import device, to_device_array, to_host

pytestmark = pytest.mark.skipif(not shutil.which("g++"), reason="there is no C++ compiler to build the kernels")
DTYPES = {"float32": 1e-6, "float64": 1e-14}


def near(got, wanted, limit):
    np.testing.assert_allclose(to_host(got), wanted, rtol=10 * limit, atol=limit)


@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_are_gathered_and_added(dtype):
    """Place 0 has none, place 1 one, place 2 three, one of them twice."""
    numbers = to_device_array(np.array([1, 10, 100], dtype))
    start, of = (to_device_array(np.array(x, np.int32)) for x in ([0, 0, 1, 4], [2, 0, 1, 0]))
    packed = device.empty(3, dtype)
    Kernels(device, dtype).each("gather", 3, numbers, start, of, packed, 3)()
    assert to_host(packed).tolist() == [0, 100, 12]


@pytest.mark.parametrize("threads", [1, 3, 8])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_normalised_weights_and_their_way_back(dtype, masked, threads):
    rng, K, rows = np.random.default_rng(0), 5, 12
    v, gain = rng.standard_normal((3, 4, K)).astype(dtype), rng.standard_normal(K).astype(dtype)
    mask = rng.random(v.shape) < 0.6 if masked else None
    y, vjp = ops.weight_norm.arrays(v, gain, mask=mask)
    g = rng.standard_normal(y.shape).astype(dtype)
    v_g, gain_g = vjp(g)
    parts = [v, gain, np.full(y.shape, np.nan, dtype)] + ([mask.astype(dtype)] if masked else [])
    numbers = to_device_array(np.concatenate(parts, axis=None))
    at_v, at_gain, at_y, at_mask = 0, v.size, v.size + K, 2 * v.size + K if masked else -1
    channels = to_device_array(np.array([(at_v, at_gain, at_y, at_mask, rows, K, k) for k in range(K)], np.int32))
    kernels, tiny = Kernels(device, dtype), np.dtype(dtype).type(1e-24)
    with stand_in.threads_in_a_block(threads):
        kernels.blocks("normalise", K, numbers, channels, K, tiny, shared=THREADS)()
        near(numbers[at_y : at_y + v.size], y.ravel(), DTYPES[dtype])
        grads = to_device_array(np.concatenate([np.full(v.size + K, np.nan, dtype), g], axis=None))
        kernels.blocks("normalise_x", K, numbers, grads, channels, K, tiny, shared=THREADS)()
    near(grads[: v.size], v_g.ravel(), DTYPES[dtype])
    near(grads[at_gain : at_gain + K], gain_g, DTYPES[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
def test_adam_is_its_definition(dtype):
    rng = np.random.default_rng(0)
    w, g, mean = (rng.standard_normal(300).astype(dtype) for _ in range(3))
    square, adam = rng.random(300).astype(dtype), mp.optim.Adam(0.01, epsilon=1e-3)
    adam.rate, adam.steps = 0.01, 3
    there = [to_device_array(x) for x in (w, g, mean, square)]
    adam.change_on_device(there[0], there[1], mean=there[2], square=there[3])
    wanted = w + adam.change(g, mean=mean, square=square)
    for got, array in zip(there, (wanted, g, mean, square), strict=True):
        near(got, array, DTYPES[dtype])


def test_an_optimizer_that_changes_adam_does_not_take_its_kernel():
    class Slower(mp.optim.Adam):
        elementwise = True

        def change(self, g, **memories):
            return super().change(g, **memories) / 2

    assert mp.optim.AdamW.change_on_device is mp.optim.Adam.change_on_device is not None
    assert Slower.change_on_device is None


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_average_of_weights(dtype):
    mean, w = np.linspace(-1, 1, 300).astype(dtype), np.linspace(3, 2, 300).astype(dtype)
    there, kernels = to_device_array(mean), Kernels(device, dtype)
    kernels.each("average", 300, there, to_device_array(w), 300, *kernels.real(0.25))()
    near(there, mean + np.dtype(dtype).type(0.25) * (w - mean), DTYPES[dtype])


def test_products_round_to_tf32_only_when_asked(monkeypatch):
    """A fake of cuBLAS writes down the order of calls; float64 has no such products."""
    calls = []
    cublas = SimpleNamespace(setMathMode=lambda handle, mode: calls.append((handle, mode)))
    xp = SimpleNamespace(cuda=SimpleNamespace(device=SimpleNamespace(get_cublas_handle=lambda: 7), cublas=cublas))
    monkeypatch.setattr(Kernels, "__init__", lambda self, xp, dtype: vars(self).update(xp=xp, dtype=dtype))
    monkeypatch.setattr(Kernels, "_gemm", lambda *a, **b: calls.append("gemm"), raising=False)
    for dtype, value, wanted in (
        ("float32", "0", ["gemm"]),
        ("float32", "1", [(7, 3), "gemm", (7, 0)]),
        ("float64", "1", ["gemm"]),
    ):
        monkeypatch.setenv("MINIPIXEL_TF32", value)
        calls.clear()
        Kernels(xp, dtype).product(None, None, None)()
        assert calls == wanted
