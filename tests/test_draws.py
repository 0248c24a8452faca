"""What dropout keeps, by counter: Philox is Philox, compiled or not, and nothing depends on how a batch was cut."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minipixel as mp
from minipixel import kernels
from minipixel.draws import Draws, philox, sixteen_bits, threshold_of
from minipixel.tensor import gradients

ONES = 2**32 - 1
words = st.integers(0, ONES)
numba = pytest.mark.skipif(not kernels.numba_enabled(), reason="Numba is missing or switched off")


def philox_by_hand(counter, key):
    """Philox4x32-10 on Python's integers, as section 3.2 of the paper has it."""
    (left_0, right_0, left_1, right_1), (k0, k1) = counter, key
    for _ in range(10):
        high_0, low_0 = divmod(0xD2511F53 * left_0, 2**32)
        high_1, low_1 = divmod(0xCD9E8D57 * left_1, 2**32)
        left_0, right_0, left_1, right_1 = high_1 ^ right_0 ^ k0, low_1, high_0 ^ right_1 ^ k1, low_0
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return left_0, right_0, left_1, right_1


def philox_of(counter, key):
    return tuple(int(word) for word in philox(tuple(np.uint64(word) for word in counter), key))


@pytest.mark.parametrize("of", [philox_by_hand, philox_of])
@pytest.mark.parametrize(
    ("counter", "key", "wanted"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ONES, ONES, ONES, ONES), (ONES, ONES), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),  # the digits of pi
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_the_vectors_that_its_authors_published(of, counter, key, wanted):
    """The known answers of Random123 1.14 for philox4x32 with 10 rounds."""
    assert of(counter, key) == wanted


@given(counter=st.tuples(words, words, words, words), key=st.tuples(words, words))
def test_philox_as_by_hand(counter, key):
    assert philox_of(counter, key) == philox_by_hand(counter, key)


sizes = {"pixels": st.integers(1, 40), "N": st.integers(1, 9), "K": st.integers(1, 70)}
keys = {"key": st.tuples(words, words), "layer": st.integers(0, ONES), "first": st.integers(0, ONES - 9)}


@given(**sizes, **keys, data=st.data())
@settings(max_examples=50, deadline=None)
def test_each_number_has_its_counter(pixels, N, K, key, layer, first, data):
    numbers = sixteen_bits(pixels, N, K, first=first, layer=layer, key=key)
    assert numbers.shape == (pixels, N, K)
    p, n, k = (data.draw(st.integers(0, size - 1)) for size in (pixels, N, K))
    word = philox_by_hand((p, k // 8, layer, first + n), key)[k % 8 // 2]
    assert numbers[p, n, k] == (word >> 16 if k % 2 else word & 0xFFFF)


@numba
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(**sizes, **keys, rate=st.sampled_from([0.0, 0.1, 0.5, 0.999999]), pixel=st.integers(0, 9), x0=st.integers(0, 5))
@settings(max_examples=100, deadline=None)
def test_compiled_it_keeps_the_same(dtype, pixels, N, K, key, layer, first, rate, pixel, x0):
    """From any pixel on, to another place or in place; what lies around it stays; zeros where NaN is dropped."""
    from minipixel.kernels.philox import dropped

    n, threshold, scale, key = pixels * N * K, threshold_of(rate), dtype(1.25), np.array(key, np.uint32)
    wanted = sixteen_bits(pixel + pixels, N, K, first=first, layer=layer, key=key)[pixel:].ravel() >= threshold
    x = np.random.default_rng(0).standard_normal(x0 + n + 3).astype(dtype)
    x[x0 : x0 + n][~wanted] = np.nan
    y, before = np.full(n + 4, 7, dtype), x.copy()
    value = np.where(wanted, x[x0 : x0 + n] * scale, 0)
    rest = pixels, N, K, pixel, first, layer, key, threshold, scale
    dropped(x, x0, y, 2, *rest)
    np.testing.assert_array_equal(y, np.concatenate([[7, 7], value, [7, 7]]))
    np.testing.assert_array_equal(x, before)
    dropped(x, x0, x, x0, *rest)
    np.testing.assert_array_equal(x, np.concatenate([before[:x0], value, before[x0 + n :]]))


@given(
    shape=st.lists(st.integers(1, 6), max_size=5).map(tuple),
    rate=st.sampled_from([0.0, 0.3, 0.5, 0.999999]),
    first=st.integers(0, ONES - 6),
    key=st.tuples(words, words),
)
@settings(max_examples=50, deadline=None)
def test_keep_of_any_shape(shape, rate, first, key):
    """Channels last, images before them, and all else pixels; each call is the next layer; with Numba and without."""
    draws = Draws(key, first)
    *pixels, N, K = (1, 1, *shape)
    for layer in range(3):
        numbers = sixteen_bits(int(np.prod(pixels)), N, K, first=first, layer=layer, key=key)
        keep = draws.keep(rate, shape)
        assert keep.dtype == bool and keep.shape == shape
        np.testing.assert_array_equal(keep.ravel(), (numbers >= round(rate * 2**16)).ravel())


def test_without_numba_it_keeps_the_same(monkeypatch):
    shape = (4, 5, 3, 13)
    wanted = [Draws((1, 2), 6).keep(0.4, shape) for _ in range(2)]
    monkeypatch.setenv("MINIPIXEL_NUMBA", "0")
    for keep in wanted:
        np.testing.assert_array_equal(Draws((1, 2), 6).keep(0.4, shape), keep)


def test_numbers_are_kept_at_the_rate_and_one_by_one():
    """Neighbours along any axis, and layers, and keys, agree as often as chance has it: within 5 sigmas."""
    shape, rate = (12, 12, 16, 24), 0.3
    n, draws = int(np.prod(shape)), Draws((3, 4))
    maps = np.stack([draws.keep(rate, shape), draws.keep(rate, shape), Draws((4, 3)).keep(rate, shape)])
    assert np.abs(maps.mean(axis=(1, 2, 3, 4)) - 0.7).max() < 5 * np.sqrt(0.21 / n)
    agree = 0.7**2 + 0.3**2
    for axis in range(5):
        same = np.delete(maps, 0, axis) == np.delete(maps, -1, axis)
        assert abs(same.mean() - agree) < 5 * 0.5 / np.sqrt(same.size / 2)


@given(cuts=st.lists(st.integers(0, 7), max_size=4), layer=st.integers(0, 3), K=st.integers(1, 20))
@settings(max_examples=30, deadline=None)
def test_shards_keep_what_the_batch_keeps(cuts, layer, K):
    def keep(start, stop):
        draws = Draws((8, 9), start)
        for _ in range(layer):
            draws.keep(0.5, (1, 1, 1, 1))
        return draws.keep(0.5, (3, 2, stop - start, K))

    edges = [0, *sorted(cuts), 7]
    parts = [keep(*edge) for edge in itertools.pairwise(edges) if edge[0] < edge[1]]
    np.testing.assert_array_equal(np.concatenate(parts, axis=2), keep(0, 7))


def test_it_is_a_generator_for_those_who_draw_themselves():
    """From the key and the first image; what it gives so does not change what is kept, nor the other way round."""
    first, again, other = Draws((1, 2), 3), Draws((1, 2), 3), Draws((1, 2), 4)
    again.keep(0.5, (4,))
    assert mp.randomness.generator(first) is first
    drawn = first.random(5)
    np.testing.assert_array_equal(drawn, again.random(5))
    assert (drawn != other.random(5)).all()
    np.testing.assert_array_equal(first.spawn(1)[0].random(3), again.spawn(1)[0].random(3))
    again = Draws((1, 2), 3)
    np.testing.assert_array_equal(first.keep(0.5, (9, 9)), again.keep(0.5, (9, 9)))


IMAGES = np.random.default_rng(0).integers(0, 3, (7, 6, 5, 1)).astype(np.uint8)
MODELS = {
    "pixelcnn": lambda: mp.models.PixelCNN((6, 5, 1), 3, hidden=6, blocks=2, dropout=0.4, dtype="float64"),
    "pixelcnnpp": lambda: mp.models.PixelCNNpp(
        (6, 5, 1), 3, filters=5, resnets=1, dropout=0.4, head="categorical", dtype="float64"
    ),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_losses_and_gradients_do_not_depend_on_the_cut(name, size):
    """A batch in shards, each with its Draws, is the batch: but for rounding."""
    model = MODELS[name]()
    parameters = model.parameters()

    def of(part, rng):
        loss = model.loss(IMAGES[part], rng=rng)
        n = len(IMAGES[part])
        return float(loss.data) * n, [g * n for g in gradients(loss, parameters)]

    whole, wanted = of(slice(0, 7), Draws.of(np.random.default_rng(5)))
    assert whole == of(slice(0, 7), 5)[0]  # `loss` makes its Draws in that way
    parts = [slice(start, start + size) for start in range(0, 7, size)]
    found = [of(part, Draws.of(np.random.default_rng(5), part.start)) for part in parts]
    assert sum(loss for loss, _ in found) == pytest.approx(whole, rel=1e-12)
    for position, gradient in enumerate(wanted):
        added = sum(shares[position] for _, shares in found)
        np.testing.assert_allclose(added, gradient, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", MODELS)
def test_fit_does_not_depend_on_the_cut(name, monkeypatch):
    runs = []
    for size in (7, 2):
        model = MODELS[name]()
        monkeypatch.setattr(type(model), "shard_of_batch", lambda self, N, size=size: size)
        history = mp.fit(model, IMAGES, epochs=3, batch_size=5, workers=2, progress=False, rng=1)
        runs.append((history.history["loss"], model.state_dict()))
    np.testing.assert_allclose(runs[0][0], runs[1][0], rtol=1e-9)
    for weight, array in runs[0][1].items():
        np.testing.assert_allclose(runs[1][1][weight], array, rtol=1e-6, atol=1e-8, err_msg=weight)
