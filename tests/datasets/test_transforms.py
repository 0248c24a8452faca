import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minipixel.datasets import binarize, load, quantize


@st.composite
def pictures(draw, max_levels=300):
    """Draw images (N, H, W, C) of any integer type together with their number of levels."""
    levels = draw(st.integers(2, max_levels))
    dtype = draw(st.sampled_from(["u1", "i2", "u2", ">i4", "i8", "u8"])) if levels <= 256 else "u2"
    shape = draw(st.tuples(st.integers(0, 3), *[st.integers(1, 4)] * 3))
    return draw(hnp.arrays(dtype, shape, elements=st.integers(0, levels - 1))), levels


def ramp(levels, copies):
    """Every level `copies` times: (copies, levels, 1, 1)."""
    return np.broadcast_to(np.arange(levels)[:, None, None], (copies, levels, 1, 1))


@given(pictures(), st.sampled_from(["static", "dynamic", "threshold"]), st.integers(0, 2**32))
def test_binarize_gives_zeros_and_ones_and_keeps_the_extremes(case, how, seed):
    images, levels = case
    before = images.copy()
    binary = binarize(images, levels, how, seed)
    assert binary.dtype == np.uint8
    assert binary.shape == images.shape
    assert np.isin(binary, (0, 1)).all()
    assert not binary[images == 0].any()
    assert binary[images == levels - 1].all()
    assert np.array_equal(images, before)
    assert np.array_equal(binary, binarize(images, levels, how, seed))


@given(pictures())
def test_binary_images_stay_as_they_are(case):
    images = case[0] % 2
    for how in ("static", "dynamic", "threshold"):
        assert np.array_equal(binarize(images, 2, how), images)


@given(pictures(), st.sampled_from(["u1", "i8"]))
def test_the_type_of_the_images_does_not_change_the_draw(case, dtype):
    images, levels = case
    if levels <= 256:
        assert np.array_equal(binarize(images, levels), binarize(images.astype(dtype), levels))


@pytest.mark.parametrize("levels", [3, 17, 256])
def test_each_level_is_one_as_often_as_its_share(levels):
    N = 4000
    share = binarize(ramp(levels, N), levels).mean(0).ravel()
    p = np.arange(levels) / (levels - 1)
    assert np.abs(share - p).max() < 5 * np.sqrt(0.25 / N)  # five standard deviations
    assert share[0] == 0
    assert share[-1] == 1


def test_sub_pixels_are_drawn_independently():
    binary = binarize(np.full((2000, 2, 2, 3), 8), 17).reshape(2000, 12)
    correlation = np.corrcoef(binary.T) - np.eye(12)
    assert np.abs(correlation).max() < 5 / np.sqrt(2000)


def test_static_is_the_same_every_time_and_dynamic_moves_on_with_its_generator():
    images = load("digits").train.images
    assert np.array_equal(binarize(images, 17), binarize(images, 17, "static", rng=0))
    assert not np.array_equal(binarize(images, 17), binarize(images, 17, rng=1))
    rng = np.random.default_rng(0)
    first, second = (binarize(images, 17, "dynamic", rng) for _ in range(2))
    assert np.array_equal(first, binarize(images, 17))
    assert not np.array_equal(first, second)


def test_the_first_images_are_drawn_alike_however_many_follow():
    images = load("digits").train.images
    assert np.array_equal(binarize(images[:50], 17), binarize(images, 17)[:50])


def test_rng_may_be_a_seed_a_seed_sequence_a_generator_or_none():
    images = np.full((10, 8, 8, 1), 8)
    drawn = [binarize(images, 17, rng=rng) for rng in (7, np.random.SeedSequence(7), np.random.default_rng(7))]
    assert np.array_equal(drawn[0], drawn[1])
    assert np.array_equal(drawn[0], drawn[2])
    assert not np.array_equal(binarize(images, 17, rng=None), binarize(images, 17, rng=None))


@pytest.mark.parametrize("levels", [2, 3, 16, 17, 256])
def test_the_threshold_is_half_of_the_levels(levels):
    images = ramp(levels, 1)
    assert np.array_equal(binarize(images, levels, "threshold"), images >= levels / 2)


@pytest.mark.parametrize(("threshold", "first_one"), [(0, 1), (0.33, 85), (0.5, 128), (0.999, 255)])
def test_another_threshold(threshold, first_one):
    binary = binarize(ramp(256, 1), 256, "threshold", threshold=threshold)
    assert np.array_equal(binary.ravel(), np.arange(256) >= first_one)


@given(pictures(), st.data())
def test_quantize_is_value_times_to_over_levels(case, data):
    images, levels = case
    to = data.draw(st.integers(2, min(levels, 256)))
    small = quantize(images, levels, to)
    assert small.dtype == np.uint8
    assert small.shape == images.shape
    assert small.ravel().tolist() == [value * to // levels for value in images.ravel().tolist()]


@pytest.mark.parametrize(("levels", "to"), [(256, 4), (256, 256), (17, 4), (17, 17), (255, 16), (2, 2), (65536, 256)])
def test_the_bins_are_equal_in_order_and_all_in_use(levels, to):
    small = quantize(ramp(levels, 1), levels, to).ravel()
    widths = np.bincount(small)
    assert len(widths) == to
    assert (np.diff(small.astype(int)) >= 0).all()
    assert widths.max() - widths.min() == (1 if levels % to else 0)


def test_quantize_to_all_levels_changes_nothing():
    images = load("digits").train.images
    assert np.array_equal(quantize(images, 17, 17), images)
    assert quantize(images, 17).max() == 3


IMAGES = np.zeros((2, 3, 3, 1), np.uint8)


@pytest.mark.parametrize("function", [binarize, quantize])
@pytest.mark.parametrize(
    ("images", "levels", "parts"),
    [
        (IMAGES / 1.0, 256, ["images are float64", "wanted integers 0..255", "astype"]),
        (IMAGES > 0, 2, ["images are bool", "wanted integers 0..1", "astype"]),
        (IMAGES.astype("m8[s]"), 2, ["images are timedelta64", "wanted integers 0..1"]),
        (IMAGES[..., 0], 256, ["images have shape (2, 3, 3)", "wanted (N, H, W, C)", "images[..., None]"]),
        (3, 256, ["images have shape ()", "wanted (N, H, W, C)"]),
        (IMAGES + 17, 17, ["images range from 17 to 17", "wanted 0..16", "number of levels"]),
        (IMAGES.astype(int) - 1, 17, ["images range from -1 to -1", "wanted 0..16", "number of levels"]),
        (IMAGES, 1, ["levels is 1", "wanted a whole number from 2 to 65536"]),
        (IMAGES, 10**9, ["levels is 1000000000", "wanted a whole number from 2 to 65536"]),
        (IMAGES, 256.0, ["levels is 256.0", "wanted a whole number"]),
        (IMAGES, True, ["levels is True", "wanted a whole number"]),
        (IMAGES, None, ["levels is None", "wanted a whole number"]),
    ],
)
def test_images_that_are_refused(refused, function, images, levels, parts):
    with refused(ValueError, f"{function.__name__}: ", *parts):
        function(images, levels)


def test_a_way_to_binarize_that_is_refused(refused):
    with refused(ValueError, "binarize: how is 'random'", "wanted 'static', 'dynamic' or 'threshold'"):
        binarize(IMAGES, 256, "random")


@pytest.mark.parametrize("threshold", [-0.1, 1, 128, float("nan")])
def test_a_threshold_that_is_refused(refused, threshold):
    with refused(ValueError, f"binarize: threshold is {threshold!r}", "wanted", "[0, 1)"):
        binarize(IMAGES, 256, "threshold", threshold=threshold)


@pytest.mark.parametrize(("levels", "to", "most"), [(17, 18, 17), (256, 1, 256), (1000, 300, 256), (17, 4.0, 17)])
def test_a_number_of_levels_to_reduce_to_that_is_refused(refused, levels, to, most):
    with refused(ValueError, f"quantize: to is {to!r}", f"wanted a whole number from 2 to {most}"):
        quantize(IMAGES, levels, to)
