"""The score that finds odd pictures: its definition, and that it finds what likelihood alone does not."""

import zlib

import numpy as np
import pytest

import minipixel as mp
from minipixel.oddness import complexity

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("levels", "dtype"), [(2, "u1"), (256, "u1")])
def test_it_is_nats_less_the_compressed_size(levels, dtype):
    """Whatever the dtype and the memory order of the images."""
    model = mp.models.PixelCNN((5, 4, 3), levels, hidden=3, blocks=1)
    images = RNG.integers(levels, size=(7, 5, 4, 3))
    sizes = [len(zlib.compress(image.astype(dtype).tobytes(), 9)) for image in images]
    expected = -model.log_prob(images) - 8 * np.log(2) * np.array(sizes)
    for given in (images, images.astype(np.uint8), np.asfortranarray(images), images.tolist()):
        np.testing.assert_allclose(mp.oddness(model, given), expected, rtol=1e-12)


def test_a_picture_is_as_odd_alone_as_among_others():
    """Also with levels that need two bytes, of which this picture uses few."""
    images = RNG.integers(60_000, size=(4, 6, 6, 1))
    images[2] = 3
    np.testing.assert_array_equal(complexity(images, 60_000)[2:3], complexity(images[2:3], 60_000))


def test_blank_and_busy_pictures_are_odd():
    """To a model of a few epochs: AUC above 0.99 for each kind, where likelihood has below 0.05 for blank ones."""
    ds = mp.datasets.load("digits")
    model = mp.models.PixelCNN(ds.image_shape, ds.levels, hidden=8, blocks=2)
    mp.fit(model, ds.train.images, epochs=4, optimizer=mp.optim.Adam(5e-3), progress=False)
    usual, blank = ds.validation.images, np.zeros((1, 8, 8, 1), np.uint8)
    odd = {"blank": blank, "noise": RNG.integers(17, size=(50, 8, 8, 1)), "inverted": 16 - usual}
    scores = mp.oddness(model, usual)
    for kind, images in odd.items():
        assert (mp.oddness(model, images)[:, None] > scores).mean() > 0.99, kind
    assert (-model.log_prob(blank) > -model.log_prob(usual)).mean() < 0.05


def test_with_a_condition_and_without_what_is_wanted():
    model = mp.models.PixelCNN((4, 4, 1), 3, hidden=2, blocks=1, num_classes=2)
    images = RNG.integers(3, size=(2, 4, 4, 1))
    assert mp.oddness(model, images, [0, 1]).shape == (2,)
    with pytest.raises(ValueError, match="condition: got"):
        mp.oddness(model, images)
