"""Every row of the op table: gradients, dtypes, shapes, the device stand-in, and agreement of kernels."""

import numpy as np
import pytest
from device import DeviceArray, to_device_array
from op_table import TABLE, Row

from minipixel import Tensor, gradcheck, op, ops
from minipixel.tensor import gradients

rows = pytest.mark.parametrize("row", TABLE, ids=lambda row: row.id)


def run(row, inputs, seed_scale=1.0):
    """Value and gradients as arrays, for a seed that is the same in every library and dtype."""
    tensors = [Tensor(x) for x in inputs]
    on_device = isinstance(inputs[0], DeviceArray)
    # images are data and live where the data lives; masks are static and stay on the host
    static = {k: to_device_array(v) if on_device and k == "images" else v for k, v in row.static.items()}
    output = row.op(*tensors, **static)
    seed = np.asarray(np.random.default_rng(2).standard_normal(output.shape) * seed_scale, output.dtype)
    seed = to_device_array(seed) if on_device else seed
    return output.data, gradients(output, tensors, seed)


def test_every_op_has_a_row():
    assert {row.op.__name__ for row in TABLE} == set(ops.OPS)


@rows
def test_gradients(row):
    gradcheck(lambda *x: row.op(*x, **row.static), *row.inputs(), method=row.method)


@rows
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept(row, dtype):
    value, found = run(row, row.inputs(dtype))
    assert value.dtype == dtype
    assert [g.dtype for g in found] == [dtype] * len(found)


@rows
def test_float32_agrees_with_float64(row):
    value, found = run(row, row.inputs(np.float32))
    exact, wanted = run(row, [x.astype(np.float64) for x in row.inputs(np.float32)])
    for a, b in zip([value, *found], [exact, *wanted], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * max(1.0, np.abs(b).max(initial=0)))


@rows
def test_runs_on_a_device(row):
    """The strict stand-in for CuPy: no NumPy array slips in, no name that CuPy lacks, and the numbers are the same."""
    value, found = run(row, [to_device_array(x) for x in row.inputs()])
    wanted_value, wanted = run(row, row.inputs())
    assert all(isinstance(x, DeviceArray) for x in [value, *found])
    for a, b in zip([value, *found], [wanted_value, *wanted], strict=True):
        np.testing.assert_allclose(a.get(), b, rtol=1e-12, atol=1e-12)


@rows
def test_without_numba_the_same(row, monkeypatch):
    with_numba = run(row, row.inputs())
    monkeypatch.setenv("MINIPIXEL_NUMBA", "0")
    without = run(row, row.inputs())
    for a, b in zip([with_numba[0], *with_numba[1]], [without[0], *without[1]], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


@rows
def test_inputs_are_not_written(row):
    inputs = row.inputs()
    copies = [x.copy() for x in inputs]
    run(row, inputs)
    for x, copy in zip(inputs, copies, strict=True):
        np.testing.assert_array_equal(x, copy)


def test_a_planted_mistake_fails():
    @op
    def wrong_tanh(x):
        y = np.tanh(x)
        return y, lambda g: (g * (1 - y),)  # 1 - y * y is right

    row = Row(wrong_tanh, ((2, 3),))
    with pytest.raises(AssertionError, match=r"input 0 at \(0, 0\): the vjp says .* the complex step says"):
        test_gradients(row)


def test_one_wrong_element_in_a_convolution_fails():
    """A gradient that is right but for one element of one input by one part in a million."""
    row = next(row for row in TABLE if row.id == "conv2d-3x3-B-rgb")

    @op
    def nearly_conv2d(x, weight, bias):
        value, vjp = ops.conv2d.arrays(x, weight, bias, **row.static)

        def wrong(g):
            x_g, weight_g, bias_g = vjp(g)
            weight_g[0, 0, 0, 0] *= 1 + 1e-6
            return x_g, weight_g, bias_g

        return value, wrong

    with pytest.raises(AssertionError, match=r"input 1 at \(0, 0, 0, 0\)"):
        gradcheck(nearly_conv2d, *row.inputs())


def test_conv2d_equals_loops():
    """Against a convolution written as the sum that it is."""
    row = next(row for row in TABLE if row.id == "conv2d-5x3-A-rgb")
    x, weight, bias = row.inputs()
    H, W, N, K_out = *x.shape[:3], len(bias)
    mask, (kh, kw) = row.static["mask"], weight.shape[:2]
    wanted = np.zeros((H, W, N, K_out))
    for r, c, i, j in np.ndindex(H, W, kh, kw):
        from_r, from_c = r + i - kh // 2, c + j - kw // 2
        if 0 <= from_r < H and 0 <= from_c < W:
            wanted[r, c] += x[from_r, from_c] @ (weight[i, j] * mask[i, j])
    np.testing.assert_allclose(ops.conv2d(x, weight, bias, **row.static).data, wanted + bias, rtol=1e-12, atol=1e-12)


def test_shut_taps_are_never_touched():
    """A NaN under a shut tap does no harm: it is not read, not even multiplied by zero."""
    row = next(row for row in TABLE if row.id == "conv2d-3x3-B")
    x, weight, bias = row.inputs()
    weight[2] = np.nan
    value, (x_g, weight_g, _) = run(row, [x, weight, bias])
    assert np.isfinite(value).all() and np.isfinite(x_g).all()
    assert (weight_g[2] == 0).all()


def test_conv2d_refuses_a_mask_of_another_shape():
    with pytest.raises(ValueError, match=r"^conv2d: got a mask of shape \(1, 1, 1, 1\), wanted \(3, 3, 1, 1\), .*$"):
        ops.conv2d(np.zeros((2, 2, 1, 1)), np.zeros((3, 3, 1, 1)), np.zeros(1), mask=np.ones((1, 1, 1, 1), bool))


@pytest.mark.parametrize("logit", [-1e4, -50.0, 0.0, 50.0, 1e4])
def test_log_probs_are_exact_for_any_logit(logit):
    """p(0) + p(1) = 1, nothing overflows (warnings are errors), and the sure case is exactly 0."""
    logits = np.full(2, logit)
    both = ops.bernoulli_log_prob(logits, images=np.array([0, 1])).data
    assert np.exp(both).sum() == pytest.approx(1, abs=1e-15)
    np.testing.assert_allclose(both, -np.logaddexp(0, np.array([logit, -logit])), rtol=1e-14)
    three = ops.categorical_log_prob(np.tile([logit, 0.0, 1.0], (3, 1)), images=np.arange(3)[:, None]).data
    assert np.exp(three).sum() == pytest.approx(1, abs=1e-15)


def test_operators_read_like_arithmetic():
    x, y = np.array([1.0, 2.0]), np.array([3.0, 5.0])
    a, b = Tensor(x), Tensor(y)
    expression = (2 * a - b / a + 1 - (-b)) ** 2 / 2 + (1 / b - a) + y * a
    np.testing.assert_allclose(expression.data, (2 * x - y / x + 1 + y) ** 2 / 2 + (1 / y - x) + y * x)
    gradcheck(lambda a, b: (2 * a - b / a + 1 - (-b)) ** 2 / 2 + (1 / b - a) + y * a, x, y)
