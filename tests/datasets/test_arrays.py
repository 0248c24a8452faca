"""Arrays of one's own as data sets, augmentations of batches, and images as picture files."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import minipixel as mp
from minipixel.datasets import crop, flip, from_arrays, from_folder, in_turn, read_picture, save_pictures, shift
from minipixel.datasets.augment import AUGMENTATIONS, augmentation

rng = np.random.default_rng(0)
IMAGES = rng.integers(256, size=(60, 3, 4, 1), dtype=np.uint8)


def rows(images):
    return sorted(image.tobytes() for image in images)


def test_all_images_are_there_once_and_labels_stay_with_them():
    labels = IMAGES[:, 0, 0, 0].astype(int) % 3
    ds = from_arrays(IMAGES, labels, split=0.3)
    assert ds.levels == 256 and ds.classes == ("0", "1", "2") and ds.image_shape == (3, 4, 1)
    whole = ds.everything()
    assert rows(whole.images) == rows(IMAGES) and len(ds.test.images) > 5 and len(ds.validation.images)
    np.testing.assert_array_equal(whole.labels, whole.images[:, 0, 0, 0].astype(int) % 3)


def test_further_images_move_none_and_equal_ones_go_together():
    before, after = from_arrays(IMAGES[:40], split=0.3), from_arrays(np.concatenate([IMAGES, IMAGES]), split=0.3)
    for name in ("train", "validation", "test"):
        old, new = (rows(getattr(ds, name).images) for ds in (before, after))
        assert set(old) <= set(new) and all(new.count(row) == 2 for row in new)
    assert rows(from_arrays(IMAGES, rng=1).test.images) != rows(from_arrays(IMAGES).test.images)


@pytest.mark.parametrize(
    ("images", "options", "shape", "levels", "dtype"),
    [
        (IMAGES[..., 0], {}, (3, 4, 1), 256, np.uint8),
        (IMAGES > 99, {}, (3, 4, 1), 2, np.uint8),
        (IMAGES.astype(np.int64), {"levels": 300}, (3, 4, 1), 300, np.uint16),
        (np.arange(24).reshape(2, 2, 3, 2), {"levels": 24}, (2, 3, 2), 24, np.uint8),
        (np.full((2, 2, 2, 1), 65535, np.uint16), {"levels": 65536}, (2, 2, 1), 65536, np.uint16),
    ],
)
def test_kinds_of_arrays(images, options, shape, levels, dtype):
    ds = from_arrays(images, split=0, **options)
    assert (ds.image_shape, ds.levels, ds.train.images.dtype) == (shape, levels, dtype)


def test_labels_that_are_names():
    ds = from_arrays(IMAGES, np.array(["dog", "cat", "eel"] * 20))
    assert ds.classes == ("cat", "dog", "eel") and {0, 1, 2} == set(ds.everything().labels)


@pytest.mark.parametrize(
    ("images", "options", "said"),
    [
        (IMAGES[0, ..., 0], {}, "images: got shape (3, 4), wanted (N, H, W, C) with N >= 1; one alone needs an axis"),
        (IMAGES[:0], {}, "images: got shape (0, 3, 4, 1)"),
        (IMAGES / 255, {}, "images: got dtype float64, wanted integers (uint8, or uint16); of floats in 0..1"),
        (IMAGES.astype(int), {}, "levels: got none for int64 images of 0..255, wanted how many there are; levels=256"),
        (IMAGES, {"levels": 99}, "images: got levels 0..255, wanted 0..98; raise levels, or quantize them"),
        (IMAGES.astype(int) - 9, {"levels": 256}, "images: got levels -9..246"),
        (IMAGES, {"levels": 65537}, "levels: got 65537, wanted a whole number in 2..65536"),
        (IMAGES, {"labels": [1, 2]}, "labels: got int64 of shape (2,), wanted 60 integers"),
        (IMAGES, {"labels": ["a"]}, "labels: got names of shape (1,), wanted 60, one an image"),
        (IMAGES, {"labels": [-1] * 60}, "labels: got -1, wanted whole numbers from 0"),
        (IMAGES, {"labels": [10**9] * 60}, "number of classes: got 1000000001"),
        (IMAGES, {"split": -0.1}, "split: got -0.1"),
    ],
)
def test_what_is_refused(refused, images, options, said):
    with refused(ValueError, said):
        from_arrays(images, **options)


# --- augmentations ----------------------------------------------------------------------------------------------------


@given(
    st.sampled_from(["flip", "shift", "shift=1", "crop", "crop=0.5", "flip,shift=3,crop=0.9"]),
    st.tuples(st.integers(1, 5), st.integers(1, 7), st.integers(1, 7), st.integers(1, 4)),
    st.sampled_from([np.uint8, np.uint16]),
    st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_augmentations_keep_shape_dtype_and_levels(text, shape, dtype, seed):
    """And pixels whole: no colour is there that was not, and what they are given is not changed."""
    images = np.random.default_rng(seed).integers(1000 if dtype == np.uint16 else 256, size=shape).astype(dtype)
    before, got = images.copy(), augmentation(text)(images, np.random.default_rng(seed))
    assert got.shape == shape and got.dtype == dtype and np.array_equal(images, before)
    for image, old in zip(got, images, strict=True):
        pixels = {tuple(pixel) for pixel in old.reshape(-1, shape[3])}
        assert {tuple(pixel) for pixel in image.reshape(-1, shape[3])} <= pixels
    again = augmentation(text)(images, np.random.default_rng(seed))
    np.testing.assert_array_equal(got, again)


def test_what_each_augmentation_does():
    images = np.arange(24, dtype=np.uint8).reshape(1, 4, 6, 1).repeat(400, axis=0)
    flipped = flip()(images, np.random.default_rng(0))
    kinds = {image.tobytes() for image in flipped}
    assert kinds == {images[0].tobytes(), images[0, :, ::-1].tobytes()}
    assert 140 < (flipped == images).all(axis=(1, 2, 3)).sum() < 260
    moved = shift(1)(images, np.random.default_rng(0))
    assert len({image.tobytes() for image in moved}) == 9
    np.testing.assert_array_equal(shift(0)(images, np.random.default_rng(0)), images)
    np.testing.assert_array_equal(crop(1)(images, np.random.default_rng(0)), images)
    cut = crop(0.5)(images, np.random.default_rng(0))
    assert {len(np.unique(image[0])) for image in cut} == {3, 4, 5, 6} and (np.diff(cut.astype(int), axis=1) >= 0).all()
    both = in_turn(flip(), shift(1))(images, np.random.default_rng(0))
    assert len({image.tobytes() for image in both}) == 18


def test_they_train(tmp_path):
    model = mp.models.PixelCNN((3, 4, 1), 256, hidden=2, blocks=1, head="logistic_mixture")
    history = mp.fit(model, IMAGES, transform=in_turn(flip(), shift()), epochs=1, progress=False)
    assert np.isfinite(history.history["loss"]).all() and set(AUGMENTATIONS) == {"flip", "shift", "crop"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "flop",
            "augmentation: got 'flop', wanted some of flip, shift, crop; did you mean 'flip'?; such as flip,shift=2",
        ),
        ("flip=2", "augmentation: got 'flip=2', wanted flip, which takes no number"),
        ("shift=x", "augmentation: got 'shift=x', wanted a whole number after shift="),
        ("crop=x", "augmentation: got 'crop=x', wanted a number after crop="),
        ("shift=-1", "most: got -1"),
        ("crop=0", "least: got 0.0, wanted the shortest share of a side, in (0, 1]"),
        ("", "augmentation: got ''"),
    ],
)
def test_texts_that_ask_for_none(refused, text, said):
    with refused(ValueError, said):
        augmentation(text)


# --- pictures out -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("C", [1, 3, 4])
@pytest.mark.parametrize("levels", [2, 3, 16, 17, 200, 255, 256, 257, 1000, 4096, 65535, 65536])
def test_what_is_saved_is_read_again(tmp_path, caches, C, levels):
    images = np.random.default_rng(levels).integers(levels, size=(5, 4, 6, C))
    images[0, 0, :2] = [[0], [levels - 1]]
    paths = save_pictures(images, tmp_path / "out", levels)
    assert [path.name for path in paths] == [f"0000{n}.png" for n in range(5)]
    ds = from_folder(tmp_path / "out", channels=C, levels=levels, split=0)
    whole = ds.everything()
    for n, image in enumerate(images):
        np.testing.assert_array_equal(whole.images[whole.files.index(str(paths[n]))], image)
    first = read_picture(paths[0])
    assert first.max() == np.iinfo(first.dtype).max and first.min() == 0


def test_several_in_one_picture(tmp_path):
    images = np.arange(12, dtype=np.uint8)[:, None, None, None].repeat(2, 1).repeat(3, 2)
    (path,) = save_pictures(images, tmp_path / "all.png", 256)
    got = np.asarray(Image.open(path))
    assert got.shape == (4, 30) and (got[:2, ::3] == np.arange(10)).all() and got[2:, :6].max() == 11
    assert (got[2:, 6:] == 0).all()
    (path,) = save_pictures(images[:1], tmp_path / "one.png", 256)
    assert np.asarray(Image.open(path)).shape == (2, 3)


def test_a_model_draws_into_a_folder(tmp_path):
    model = mp.models.PixelCNN((4, 4, 3), 5, hidden=3, blocks=1)
    paths = mp.save_pictures(model.sample(3, rng=0), tmp_path, model.levels)
    assert len(paths) == 3 and all(path.is_file() for path in paths)


@pytest.mark.parametrize(
    ("images", "levels", "said"),
    [
        (IMAGES[..., 0], 256, "images: got shape (60, 3, 4), wanted (N, H, W, C) with N >= 1 and C = 1, 3 or 4; add a"),
        (IMAGES[:0], 256, "images: got shape (0, 3, 4, 1)"),
        (IMAGES.repeat(2, axis=3), 256, "images: got shape (60, 3, 4, 2)"),
        (IMAGES, 17, "images: got uint8 in 0..255, wanted whole numbers in 0..16; give the levels that they have"),
        (IMAGES / 255, 256, "images: got float64 in 0.0..1.0"),
        (IMAGES, 1, "levels: got 1, wanted a whole number in 2..65536"),
    ],
)
def test_what_is_not_saved(tmp_path, refused, images, levels, said):
    with refused(ValueError, said):
        save_pictures(images, tmp_path / "out", levels)
    assert not list(tmp_path.iterdir())
