"""The nearest images are those that a comparison of all pairs finds, and copies are told from what is only close."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minipixel as mp
from minipixel.datasets import nearest as function

MODULE = __import__("sys").modules["minipixel.datasets.nearest"]


def by_hand(images, among, levels, count):
    """As the docstring says it, pair by pair."""
    difference = (images[:, None].astype(float) - among[None].astype(float)) / (levels - 1)
    distances = np.sqrt((difference**2).mean(axis=(2, 3, 4)))
    order = np.argsort(distances.round(9), axis=1, kind="stable")[:, :count]
    return order, np.take_along_axis(distances, order, axis=1)


@given(
    st.sampled_from([2, 3, 17, 256, 1 << 16]),
    st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3)),
    st.tuples(st.integers(1, 9), st.integers(1, 12)),
    st.integers(0, 1000),
    st.integers(1, 5),
)
def test_as_pair_by_pair(levels, shape, counts, seed, block):
    rng = np.random.default_rng(seed)
    images, among = (rng.integers(0, levels, (n, *shape)).astype(np.uint16) for n in counts)
    some = rng.integers(0, counts[1], rng.integers(0, counts[0] + 1))
    images[: len(some)] = among[some]  # copies, perhaps of one image several times
    count = int(rng.integers(1, counts[1] + 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MODULE, "BLOCK", block)
        indices, distances = function(images, among, levels, count=count)
    wanted, far = by_hand(images, among, levels, count)
    assert indices.shape == distances.shape == (counts[0], count)
    np.testing.assert_array_equal(indices, wanted)
    np.testing.assert_allclose(distances, far, rtol=1e-9)
    same = (images[:, None] == among[indices]).all(axis=(2, 3, 4)) if count == 1 else None
    if same is not None:
        np.testing.assert_array_equal(distances == 0, same)


def test_a_copy_is_at_no_distance_and_the_smallest_change_at_some():
    """Where float sums of squares would cancel: large images of the highest levels."""
    levels = 1 << 16
    image = np.random.default_rng(0).integers(levels - 9, levels, (1, 64, 64, 3)).astype(np.uint16)
    close = image.copy()
    close[0, 63, 63, 2] ^= 1
    indices, distances = mp.datasets.nearest(image, np.concatenate([close, image, close, image]), levels, count=4)
    assert indices.tolist() == [[1, 3, 0, 2]] and distances[0, 1] == 0  # of equal ones the first comes first
    assert distances[0, 2] == distances[0, 3] == np.sqrt(1 / image.size) / (levels - 1)


def test_the_unit_is_levels_from_0_to_1():
    black, white = np.zeros((1, 3, 3, 1), bool), np.ones((1, 3, 3, 1), bool)
    assert mp.datasets.nearest(black, white, 2)[1] == 1
    assert mp.datasets.nearest(black.astype(int), 16 * white.astype(int), 17)[1] == 1


def test_memory_is_bounded():
    """9,000 images beside 3,000, of which all pairs alone would take 216 MB."""
    rng = np.random.default_rng(0)
    images, among = (rng.integers(0, 256, (n, 4, 4, 1)).astype(np.uint8) for n in (3000, 9000))
    tracemalloc.start()
    indices, _ = mp.datasets.nearest(images, among, 256)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1.3 * 4 * MODULE.BLOCK**2 * 8 and (indices[::1000] == by_hand(images[::1000], among, 256, 1)[0]).all()


@pytest.mark.parametrize(
    ("images", "among", "options", "message"),
    [
        (
            (3, 3, 1),
            (2, 3, 3, 1),
            {},
            "images: got shape (3, 3, 1), wanted (N, H, W, C) with N >= 1; add a channel axis",
        ),
        (
            (1, 3, 3, 1),
            (2, 3, 3),
            {},
            "among: got shape (2, 3, 3), wanted (N, H, W, C) with N >= 1; add a channel axis",
        ),
        ((1, 3, 3, 1), (2, 3, 4, 1), {}, "among: got images of 3x4x1, wanted 3x3x1, as the images have"),
        ((1, 3, 3, 1), (2, 3, 3, 1), {"count": 3}, "count: got 3, wanted a whole number in 1..2"),
        ((1, 3, 3, 1), (2, 3, 3, 1), {"levels": 1}, "levels: got 1, wanted"),
        ((1, 3, 3, 1), (0, 3, 3, 1), {}, "among: got shape (0, 3, 3, 1), wanted"),
    ],
)
def test_mistakes(images, among, options, message):
    with pytest.raises(ValueError) as error:
        mp.datasets.nearest(np.zeros(images, int), np.zeros(among, int), **{"levels": 2, **options})
    assert str(error.value).startswith(message) and "\n" not in str(error.value)
    with pytest.raises(ValueError, match=r"^among: got int64 in 5\.\.5, wanted whole numbers in 0\.\.1"):
        mp.datasets.nearest(np.zeros((1, 2, 2, 1), int), np.full((1, 2, 2, 1), 5), 2)
