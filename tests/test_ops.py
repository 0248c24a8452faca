"""Every row of the op table: gradients, dtypes, shapes, the device stand-in, and agreement of kernels."""

import numpy as np
import pytest
from op_table import TABLE, Row, run
from stand_in import launches

from minipixel import Tensor, gradcheck, op, ops
from minipixel.stand_in import DeviceArray, counted, to_device_array
from minipixel.tensor import gradients

rows = pytest.mark.parametrize("row", TABLE, ids=lambda row: row.id)


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
    """The strict stand-in for CuPy: no NumPy array slips in, no name that CuPy lacks, and the numbers are the same.

    The host waits for nothing and reads nothing; what it sends are images, masks and the like.
    """
    inputs = [to_device_array(x) for x in row.inputs()]
    with counted() as counts:
        value, found = run(row, inputs)
    assert (counts.waits, counts.to_host.copies) == (0, 0)
    assert counts.launches <= launches.OPS[row.op.__name__]
    assert counts.to_device.copies <= 1 + launches.UPLOADS_OF_OPS.get(row.op.__name__, 1)  # 1 for the seed
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


@pytest.mark.parametrize("case", ["5x3-A-rgb", "strided", "strided-3", "3x3-B-dilated", "no-mask", "centre"])
def test_conv2d_equals_loops(case):
    """Against a convolution written as the sum that it is."""
    row = next(row for row in TABLE if row.id == f"conv2d-{case}")
    x, weight, bias = row.inputs()
    H, W, N, K_out = *x.shape[:3], len(bias)
    (kh, kw), mask = weight.shape[:2], row.static.get("mask", np.ones(weight.shape))
    stride, dilation = row.static.get("stride", 1), row.static.get("dilation", 1)
    centre_r, centre_c = row.static.get("centre", (kh // 2, kw // 2))
    wanted = np.zeros((-(-H // stride), -(-W // stride), N, K_out))
    for r, c, i, j in np.ndindex(*wanted.shape[:2], kh, kw):
        from_r, from_c = stride * r + dilation * (i - centre_r), stride * c + dilation * (j - centre_c)
        if 0 <= from_r < H and 0 <= from_c < W:
            wanted[r, c] += x[from_r, from_c] @ (weight[i, j] * mask[i, j])
    np.testing.assert_allclose(ops.conv2d(x, weight, bias, **row.static), wanted + bias, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("H", "W"), [(1, 1), (4, 6), (5, 7), (1, 6), (7, 1)])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("centre", [None, (0, 1), (0, 0)])
def test_transposed_conv2d_is_the_transpose_of_conv2d(H, W, stride, centre):
    """<A x, y> = <x, A' y>, where A' has the same kernel, its inputs and outputs exchanged."""
    rng = np.random.default_rng(0)
    where = {"stride": stride, "centre": centre}
    x, weight = rng.standard_normal((H, W, 2, 3)), rng.standard_normal((2, 3, 3, 4))
    there = ops.conv2d(x, weight, np.zeros(4), **where)
    y = rng.standard_normal(there.shape)
    back = ops.transposed_conv2d(y, weight.transpose(0, 1, 3, 2), np.zeros(3), size=(H, W), **where)
    assert np.vdot(there, y) == pytest.approx(np.vdot(x, back), rel=1e-12)


def test_weight_norm_gives_each_output_its_length():
    v, gain = np.random.default_rng(0).standard_normal((2, 3, 4, 5)), np.array([0.5, 1, 2, -3, 0])
    v[..., 1] = 0  # no direction, no length: it stays zero, and so do its gradients
    w = ops.weight_norm(v, gain)
    np.testing.assert_allclose(np.sqrt((w**2).sum(axis=(0, 1, 2))), [0.5, 0, 2, 3, 0], rtol=1e-12)
    v_g, gain_g = gradients(ops.weight_norm(v_t := Tensor(v), gain_t := Tensor(gain)), [v_t, gain_t], np.ones(v.shape))
    assert np.isfinite(v_g).all() and gain_g[1] == 0
    np.testing.assert_allclose((v_g * v).sum(axis=(0, 1, 2)), 0, atol=1e-12)  # to move along v would change nothing


def test_overlay_puts_back_what_subsample_took():
    x = np.random.default_rng(0).standard_normal((5, 4, 2, 3))
    np.testing.assert_array_equal(ops.overlay(0 * x, ops.subsample(x, stride=2), stride=2)[::2, ::2], x[::2, ::2])
    np.testing.assert_array_equal(ops.overlay(x, ops.subsample(x, stride=3), stride=3), x)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda x, w, b: ops.conv2d(x, w, b, stride=0), "conv2d: got stride 0, wanted 1"),
        (lambda x, w, b: ops.conv2d(x, w, b, dilation=-1), "conv2d: got dilation -1, wanted 1"),
        (
            lambda x, w, b: ops.transposed_conv2d(x, w, b, size=(9, 8), stride=2),
            "transposed_conv2d: got a map of 4x4 to enlarge 2 times to 9x8, wanted a size that a stride of 2 cuts down",
        ),
        (lambda x, w, b: ops.linear_gate(x), "linear_gate: got 3 channels, wanted an even number"),
    ],
)
def test_bad_sizes(call, match):
    with pytest.raises(ValueError, match=match):
        call(np.zeros((4, 4, 1, 3)), np.zeros((3, 3, 3, 2)), np.zeros(2))


@pytest.mark.parametrize("row", [row for row in TABLE if row.op.__name__ == "lstm_scan"], ids=lambda row: row.id)
def test_lstm_scan_equals_loops(row):
    """Against equation 3 of 1601.06759, a cell at a time, every cell written down as a pair of coordinates."""
    z, weight, *start = row.inputs()
    (H, W, N, _), K = z.shape, weight.shape[1]
    h0, c0 = start or (np.zeros(K), np.zeros(K))
    spans = row.static.get("spans") or [(0, W)] * H
    h, c = {}, {}
    for r, p in np.ndindex(H, W):
        if spans[r][0] <= p < spans[r][1]:
            a = z[r, p].copy()
            for tap, w in zip(row.static["taps"], weight, strict=True):
                if 0 <= p + tap < W:
                    a += h.get((r - 1, p + tap), np.tile(h0, (N, 1))) @ w
            o, f, i = (1 / (1 + np.exp(-a[:, k * K : (k + 1) * K])) for k in range(3))
            c[r, p] = f * c.get((r - 1, p), c0) + i * np.tanh(a[:, 3 * K :])
            h[r, p] = o * np.tanh(c[r, p])
    states = row.op(z, weight, *start, **row.static)
    for r, p in np.ndindex(H, W):
        wanted = h.get((r, p), np.tile(h0, (N, 1)))
        np.testing.assert_allclose(states[r, p], wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("H", "W"), [(1, 1), (1, 4), (4, 1), (3, 5), (5, 3)])
def test_skew_moves_rows_to_the_right(H, W):
    x = np.random.default_rng(0).standard_normal((H, W, 2, 3))
    y = ops.skew(x)
    assert y.shape == (H + W - 1, H, 2, 3)
    spans = ops.diagonal_spans(H, W)
    for d, r in np.ndindex(H + W - 1, H):
        inside = 0 <= d - r < W
        assert inside == (spans[d][0] <= r < spans[d][1])
        np.testing.assert_array_equal(y[d, r], x[r, d - r] if inside else 0)
    np.testing.assert_array_equal(ops.unskew(y), x)


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
    both = ops.bernoulli_log_prob(logits, images=np.array([0, 1]))
    assert np.exp(both).sum() == pytest.approx(1, abs=1e-15)
    np.testing.assert_allclose(both, -np.logaddexp(0, np.array([logit, -logit])), rtol=1e-14)
    three = ops.categorical_log_prob(np.tile([logit, 0.0, 1.0], (3, 1)), images=np.arange(3)[:, None])
    assert np.exp(three).sum() == pytest.approx(1, abs=1e-15)


def test_operators_read_like_arithmetic():
    x, y = np.array([1.0, 2.0]), np.array([3.0, 5.0])
    a, b = Tensor(x), Tensor(y)
    expression = (2 * a - b / a + 1 - (-b)) ** 2 / 2 + (1 / b - a) + y * a
    np.testing.assert_allclose(expression.data, (2 * x - y / x + 1 + y) ** 2 / 2 + (1 / y - x) + y * x)
    gradcheck(lambda a, b: (2 * a - b / a + 1 - (-b)) ** 2 / 2 + (1 / b - a) + y * a, x, y)
