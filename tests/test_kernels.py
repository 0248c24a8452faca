"""Every row of the table of kernels: override against reference, adjoint pairs, switches."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minipixel import kernels
from minipixel.kernels import KERNELS, col2im, im2col, skew, unskew
from minipixel.stand_in import DeviceArray, counted, to_device_array

sizes = st.integers(1, 6)
strides = st.integers(1, 4)
tap_lists = st.lists(st.tuples(st.integers(-7, 7), st.integers(-7, 7)), min_size=0, max_size=8, unique=True)


def overrides(*names):
    if not kernels.numba_enabled():
        pytest.skip("Numba is missing or switched off")
    return [KERNELS[name].override for name in names]


def random_map(shape, dtype=np.float64):
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


def strided(H, W, N, K, stride):
    """The shape of a map of which every stride-th row and column is computed."""
    return -(-H // stride), -(-W // stride), N, K


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(H=sizes, W=sizes, N=st.integers(1, 3), K=st.sampled_from([1, 2, 3, 8]), taps=tap_lists, stride=strides)
@settings(max_examples=60, deadline=None)
def test_overrides_agree_with_references(dtype, H, W, N, K, taps, stride):
    """Copies bit for bit; sums within n * eps * sum of |terms|."""
    fast_im2col, fast_col2im = overrides("im2col", "col2im")
    x, columns = random_map((H, W, N, K), dtype), random_map(strided(H, W, N, len(taps) * K, stride), dtype)
    np.testing.assert_array_equal(fast_im2col(x, taps, stride), im2col.reference(x, taps, stride))
    back = taps, K, stride, (H, W)
    bound = len(taps) * np.finfo(dtype).eps * col2im.reference(np.abs(columns), *back)
    assert (np.abs(fast_col2im(columns, *back) - col2im.reference(columns, *back)) <= bound).all()


@given(H=sizes, W=sizes, N=st.integers(1, 3), K=st.integers(1, 3), taps=tap_lists, stride=strides)
@settings(max_examples=60, deadline=None)
def test_adjoint(H, W, N, K, taps, stride):
    """<A x, y> = <x, A' y>, for references and overrides."""
    x, y = random_map((H, W, N, K)), random_map(strided(H, W, N, len(taps) * K, stride))
    for forward, back in [(im2col.reference, col2im.reference), (im2col, col2im)]:
        terms = forward(x, taps, stride) * y
        assert abs(terms.sum() - (x * back(y, taps, K, stride, (H, W))).sum()) <= 1e-12 * max(
            np.abs(terms).sum(), 1e-300
        )


@given(H=sizes, W=sizes, taps=tap_lists, stride=strides)
@settings(max_examples=60, deadline=None)
def test_im2col_reads_what_the_taps_say(H, W, taps, stride):
    x = random_map((H, W, 1, 1))
    columns = im2col(x, taps, stride)
    assert columns.shape == strided(H, W, 1, len(taps), stride)
    for r, c, t in np.ndindex(*columns.shape[:2], len(taps)):
        from_r, from_c = stride * r + taps[t][0], stride * c + taps[t][1]
        inside = 0 <= from_r < H and 0 <= from_c < W
        assert columns[r, c, 0, t] == (x[from_r, from_c, 0, 0] if inside else 0)


def test_strided_inputs_are_read_right():
    x = random_map((6, 5, 4, 3))[::2, :, ::-1]
    taps = [(-1, 0), (0, -1), (0, 0)]
    np.testing.assert_array_equal(im2col(x, taps), im2col.reference(np.ascontiguousarray(x), taps))


@pytest.mark.parametrize("name", KERNELS)
def test_switching_numba_off(name, monkeypatch):
    monkeypatch.setenv("MINIPIXEL_NUMBA", "0")
    assert KERNELS[name].override is None
    monkeypatch.delenv("MINIPIXEL_NUMBA")
    assert (KERNELS[name].override is None) == (not kernels.numba_enabled())


ON_A_DEVICE = {  # arguments after a map (3, 4, 2, 6), and the most launches
    "im2col": (([(-1, 0), (0, -1), (0, 0)], 2), 4),
    "col2im": (([(0, -1), (0, 0)], 3, 2, (6, 7)), 3),
    "skew": ((), 4),
    "unskew": ((), 4),
}


@pytest.mark.parametrize("name", KERNELS)
def test_references_run_on_a_device(name):
    """On the strict stand-in: the same to the bit, with few launches, and nothing to wait for."""
    (arguments, launches), x = ON_A_DEVICE[name], random_map((3, 4, 2, 6))
    there = to_device_array(x)
    with counted() as counts:
        found = KERNELS[name](there, *arguments)
    assert isinstance(found, DeviceArray)
    np.testing.assert_array_equal(found.get(), KERNELS[name].reference(x, *arguments))
    assert counts.launches <= launches
    assert (counts.waits, counts.to_host.copies, counts.to_device.copies) == (0, 0, 0)


def test_the_size_of_a_whole_map_is_known():
    columns = random_map((2, 3, 1, 2))
    assert col2im(columns, [(0, 0)], 2).shape == (2, 3, 1, 2)
    assert col2im(columns, [(0, 0)], 2, 3).shape == (6, 9, 1, 2)


def test_other_dtypes_take_the_reference():
    x = random_map((2, 2, 1, 1)) + 1j
    np.testing.assert_array_equal(im2col(x, [(0, 0)]), x)


# How a map (H, W, N, K) may lie in memory, made from a contiguous one.
LAYOUTS = {
    "contiguous": lambda x: x,
    "mirrored": lambda x: x[:, ::-1].copy()[:, ::-1],
    "all reversed": lambda x: x[::-1, ::-1, ::-1, ::-1].copy()[::-1, ::-1, ::-1, ::-1],
    "a column less": lambda x: np.concatenate([x, x[:, :1]], axis=1)[:, :-1] if x.shape[1] else x,
    "half of the features": lambda x: np.concatenate([x, x], axis=3)[..., : x.shape[3]],
    "half of the images": lambda x: np.concatenate([x, x], axis=2)[:, :, x.shape[2] :],
    "every other feature": lambda x: np.repeat(x, 2, axis=3)[..., ::2],
    "every other row": lambda x: np.repeat(x, 2, axis=0)[::2],
    "images first": lambda x: x.transpose(2, 0, 1, 3).copy().transpose(1, 2, 0, 3),
    "Fortran": np.asfortranarray,
    "one row again and again": lambda x: np.broadcast_to(x[:1], x.shape) if len(x) else x,
    "one image again and again": lambda x: np.broadcast_to(x[:, :, :1], x.shape) if x.shape[2] else x,
    "one number again and again": lambda x: np.broadcast_to(x.dtype.type(-0.0), x.shape),
    "not aligned": lambda x: np.frombuffer(b" " + x.tobytes(), x.dtype, offset=1).reshape(x.shape) if x.size else x,
    "a subclass": lambda x: x.view(np.recarray),
}
perhaps_none = st.integers(0, 5)


def any_bits(shape, dtype):
    """Of every kind of number: NaN, too, and denormal."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer(bytearray(np.random.default_rng(0).bytes(size)), dtype).reshape(shape)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
@given(H=perhaps_none, W=perhaps_none, N=st.integers(0, 3), K=st.sampled_from([0, 1, 2, 3, 8]), read_only=st.booleans())
@settings(max_examples=40, deadline=None)
def test_skew_and_unskew_move_every_bit(dtype, layout, H, W, N, K, read_only):
    """However the map lies in memory, which stays as it was."""
    overrides("skew", "unskew")
    for kernel, rows, columns in ((skew, max(H, 1), W), (unskew, H + W, H)):
        x = LAYOUTS[layout](any_bits((rows, columns, N, K), dtype))
        if read_only:
            x.flags.writeable = False
        before, wanted = x.tobytes(), kernel.reference(np.array(x))
        got = kernel(x)
        assert got.flags.carray and got.dtype == dtype and not np.shares_memory(got, x)
        assert (got.shape, got.tobytes(), x.tobytes()) == (wanted.shape, wanted.tobytes(), before)


@given(H=sizes, W=sizes, N=st.integers(1, 3), K=st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_skew_and_unskew_are_adjoint(H, W, N, K):
    """<A x, y> = <x, A' y>; besides, unskew(skew(x)) is x."""
    x, y = random_map((H, W, N, K)), random_map((H + W - 1, H, N, K))
    for forward, back in [(skew.reference, unskew.reference), (skew, unskew)]:
        terms = forward(x) * y
        assert abs(terms.sum() - (x * back(y)).sum()) <= 1e-13 * np.abs(terms).sum()
        np.testing.assert_array_equal(back(forward(x)), x)


def test_what_is_no_skewed_map_is_refused_alike():
    for body in (unskew, unskew.reference):
        with pytest.raises(ValueError, match="negative dimensions"):
            body(random_map((1, 3, 1, 1)))
