"""Folders of pictures: which are read, which split each is in, what is kept of them and read again."""

import json
import mmap
import os
import warnings

import numpy as np
import pytest
from PIL import Image

import minipixel as mp
from minipixel.datasets import folder as reading
from minipixel.datasets import from_arrays, from_folder, save_pictures, store
from minipixel.errors import FormatError

noise = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "minipixel" / "pictures"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "set"


def fill(folder, count, *, size=(5, 4), C=1, start=0):
    """So many pictures of noise, whose content depends on their number alone."""
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(start, start + count):
        pixels = np.random.default_rng(n).integers(256, size=(*size, C), dtype=np.uint8)
        Image.fromarray(pixels.squeeze()).save(folder / f"{n:04}.png")
    return folder


def places(ds):
    """The split that each content is in."""
    return {
        image.tobytes(): name for name in ("train", "validation", "test") for image in getattr(ds, name).images
    }  # fmt: skip


def test_new_files_move_none_and_copies_land_together(folder):
    few = places(from_folder(fill(folder, 60), split=0.3))
    fill(folder / "more", 60, start=60)
    for n in range(30):
        (folder / "more" / f"copy{n}.png").write_bytes((folder / f"{n:04}.png").read_bytes())
        (folder / f"{n:04}.png").rename(folder / "more" / f"renamed{n}.png")
    ds = from_folder(folder, split=0.3)
    assert len(ds.everything().images) == 150
    many = places(ds)
    assert len(many) == 120 and all(many[content] == name for content, name in few.items())
    splits = [{image.tobytes() for image in getattr(ds, name).images} for name in ("train", "validation", "test")]
    assert sum(map(len, splits)) == len(set.union(*splits))
    assert set(few.values()) == {"train", "validation", "test"} and 15 < sum(v == "test" for v in many.values()) < 57
    assert places(from_folder(folder, split=0.3, rng=1)) != many


def test_the_share_and_the_order_do_not_hang_on_names(folder):
    fill(folder, 40)
    ds = from_folder(folder, split=0)
    assert not len(ds.test.images)
    for n, path in enumerate(sorted(folder.iterdir(), reverse=True)):
        path.rename(folder / f"x{n}.png")
    assert np.array_equal(from_folder(folder, split=0).train.images, ds.train.images)


def test_subfolders_are_classes(folder):
    fill(folder / "cat" / "black", 3), fill(folder / "dog", 2, start=3), fill(folder / "cat", 1, start=5)
    everything = from_folder(folder).everything()
    assert from_folder(folder).classes == ("cat", "dog") and sorted(everything.labels) == [0, 0, 0, 0, 1, 1]
    assert all(("dog" in file) == (label == 1) for file, label in zip(everything.files, everything.labels, strict=True))
    fill(folder, 1, start=6)
    assert from_folder(folder).classes == (".", "cat", "dog")


def test_what_is_hidden_or_no_picture_is_passed_over(folder, recwarn):
    fill(folder, 2)
    for name in (".hidden", "__MACOSX", ".git"):
        fill(folder / name, 1, start=5)
    (folder / "._0001.png").write_bytes(b"of a Mac")
    (folder / "notes.txt").write_text("none")
    (folder / "labels.csv").write_text("none")
    (folder / "0001.png").rename(folder / "no_extension")
    ds = from_folder(folder)
    assert len(ds.everything().images) == 2 and ds.classes == (".",) and not recwarn


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
def test_links_that_lead_round_in_circles(folder, tmp_path):
    fill(folder / "a", 2)
    elsewhere = fill(tmp_path / "elsewhere", 1, start=2)
    (folder / "a" / "round").symlink_to(folder)
    (folder / "a" / "self").symlink_to(folder / "a" / "self")
    (folder / "b").symlink_to(elsewhere)
    with pytest.warns(UserWarning, match="self: Too many levels|1 of 4 pictures are left out"):
        ds = from_folder(folder)
    assert len(ds.everything().images) == 3 and ds.classes == ("a", "b")


def test_several_sizes(folder, refused):
    fill(folder, 2), fill(folder, 2, start=2, size=(8, 9))
    with refused(ValueError, "size: got None for pictures of several sizes", "of 5x4", "of 8x9", "size=4, say"):
        from_folder(folder)
    assert from_folder(folder, 6).image_shape == (6, 6, 1)
    assert from_folder(folder, (3, 7)).image_shape == (3, 7, 1)
    for crop in ("random", "stretch"):
        assert from_folder(folder, 4, crop=crop).image_shape == (4, 4, 1)


def test_as_few_channels_as_all_need(folder):
    fill(folder, 3)
    assert from_folder(folder).image_shape == (5, 4, 1)
    fill(folder, 2, start=3, C=3)
    grey = from_folder(folder)
    assert grey.image_shape == (5, 4, 3) and from_folder(folder, channels=1).image_shape == (5, 4, 1)
    fill(folder, 1, start=5, C=4)
    ds = from_folder(folder)
    assert ds.image_shape == (5, 4, 4) and (ds.everything().images[..., 3] == 255).all(axis=(1, 2)).sum() == 5
    assert from_folder(folder, background="white").image_shape == (5, 4, 3)


def test_what_is_clear_needs_a_background(folder, refused):
    fill(folder, 2, C=4)
    with refused(ValueError, ".png: got transparent pixels", "background="):
        from_folder(folder, channels=3)


def test_bad_files_are_named_counted_and_left_out(folder):
    fill(folder, 4)
    (folder / "bad.png").write_bytes((folder / "0000.png").read_bytes()[:40])
    (folder / "page.jpg").write_text("<html>")
    (folder / "empty.gif").write_bytes(b"")
    for _ in range(2):  # the second time from the cache, with the same words
        with pytest.warns(UserWarning) as said:
            ds = from_folder(folder)
        texts = [str(warning.message) for warning in said]
        assert [sum(name in text for text in texts) for name in ("bad.png", "page.jpg", "empty.gif")] == [1, 1, 1]
        assert texts[-1].endswith("3 of 7 pictures are left out") and all("\n" not in text for text in texts)
        assert len(ds.everything().images) == 4


@pytest.mark.parametrize("names", [("train", "test"), ("Train", "val", "test"), ("train", "cats"), ("test",)])
def test_subfolders_that_are_splits_are_pointed_out(folder, names):
    for n, name in enumerate(names):
        fill(folder / name, 2, start=10 * n)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        ds = from_folder(folder)
    assert set(ds.classes) == set(names)
    suspicious = len(names) > 1 and "cats" not in names
    assert [("read as classes" in str(warning.message)) for warning in said] == [True] * suspicious
    assert all(warning.filename == __file__ for warning in said)


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n", b"<html>"])
def test_strict_stops_at_a_bad_file(folder, content, refused):
    fill(folder, 2)
    (folder / "bad.png").write_bytes(content)
    for _ in range(2):
        with refused(FormatError, folder / "bad.png"):
            from_folder(folder, strict=True)
        with pytest.warns(UserWarning, match="left out"):
            from_folder(folder)


@pytest.mark.filterwarnings("ignore:.*left out")
def test_nothing_to_read(folder, refused):
    folder.mkdir()
    with refused(ValueError, "got a folder without pictures, wanted PNG, JPEG, GIF, BMP, WebP or TIFF"):
        from_folder(folder)
    with refused(FileNotFoundError, "none"):
        from_folder(folder / "none")
    (folder / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with refused(ValueError, "got 1 pictures, none of which can be read"):
        from_folder(folder)
    with refused(NotADirectoryError, "wanted a folder of pictures; unpack an archive first"):
        from_folder(folder / "bad.png")


@pytest.fixture
def decoded(monkeypatch):
    """The names of the files that were decoded."""
    names, decode = [], reading.decode_picture
    monkeypatch.setattr(reading, "decode_picture", lambda name, content: names.append(name) or decode(name, content))
    return names


def same(a, b):
    return all(
        np.array_equal(getattr(x, part), getattr(y, part))
        for x, y in ((a.train, b.train), (a.validation, b.validation), (a.test, b.test))
        for part in ("images", "labels", "files")
    )


def test_a_second_reading_decodes_nothing(folder, decoded, cache):
    fill(folder, 12)
    first = from_folder(folder)
    assert len(decoded) == 12
    again = from_folder(folder)
    assert len(decoded) == 12 and same(first, again)
    from_folder(folder, levels=4)
    assert len(decoded) == 24
    (folder / "0003.png").unlink()
    from_folder(folder)
    assert len(decoded) == 35 and len(list(cache.glob("*.npy"))) == 3 and not list(cache.glob(".*"))
    again.train.images[:] = 0  # in memory, and the caller's
    from_folder(folder)


DAMAGE = {
    "a number": lambda array, notes: array.write_bytes(array.read_bytes()[:-1] + bytes([array.read_bytes()[-1] ^ 1])),
    "the end is missing": lambda array, notes: array.write_bytes(array.read_bytes()[:150]),
    "no JSON": lambda array, notes: notes.write_text("{"),
    "a list": lambda array, notes: notes.write_text("[]"),
    "no digest": lambda array, notes: notes.write_text("{}"),
    "bad ones as a list": lambda array, notes: notes.write_text(json.dumps(json.loads(notes.read_text()) | {"bad": 3})),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_cache_is_made_anew(folder, decoded, cache, damage):
    fill(folder, 3)
    first = from_folder(folder)
    (array,), (notes,) = cache.glob("*.npy"), cache.glob("*.json")
    DAMAGE[damage](array, notes)
    with pytest.warns(UserWarning, match="the cache is damaged") as said:
        again = from_folder(folder)
    assert len(said) == 1 and len(decoded) == 6 and same(first, again)
    assert same(first, from_folder(folder)) and len(decoded) == 6


def test_a_cache_that_cannot_be_written_is_done_without(folder, decoded, tmp_path, monkeypatch):
    fill(folder, 3)
    (tmp_path / "file").write_text("no folder")
    first = from_folder(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="the cache cannot be written") as said:
        again = from_folder(folder)
    assert len(said) == 1 and same(first, again)


@pytest.mark.parametrize("levels", [256, 1000])
def test_what_is_larger_than_memory_is_mapped_and_learnt_from(folder, levels, monkeypatch):
    fill(folder, 20, size=(4, 4))
    read = from_folder(folder, levels=levels)
    monkeypatch.setattr(store, "IN_MEMORY", 100)
    mapped = from_folder(folder, levels=levels)
    base = mapped.train.images
    while isinstance(base, np.ndarray):
        base = base.base
    assert isinstance(base.obj, mmap.mmap) and same(read, mapped) and not mapped.train.images.flags.writeable
    if levels == 256:
        models = [mp.models.PixelCNN((4, 4, 1), levels, hidden=4, blocks=1, rng=0) for _ in range(2)]
        for model, ds in zip(models, (read, mapped), strict=True):
            mp.fit(model, ds.train.images, epochs=1, batch_size=32, rng=0, transform=mp.datasets.flip())
        one, two = (model.state_dict() for model in models)
        assert all(np.array_equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("levels", [2, 3, 16, 256, 257, 1000, 65536])
@pytest.mark.parametrize("C", [1, 3, 4])
def test_saved_pictures_are_read_as_the_same_levels(folder, levels, C):
    images = noise.integers(levels, size=(9, 5, 6, C)).astype(np.uint8 if levels <= 256 else np.uint16)
    paths = save_pictures(images, folder, levels)
    assert [path.name for path in paths] == [f"{n:05}.png" for n in range(9)]
    got = from_folder(folder, channels=C, levels=levels).everything()
    ordered = got.images[np.argsort(got.files)]
    assert ordered.dtype == images.dtype and np.array_equal(ordered, images)


def test_saved_as_one_picture(tmp_path):
    images = noise.integers(256, size=(13, 2, 3, 3), dtype=np.uint8)
    (path,) = save_pictures(images, tmp_path / "all.png", 256)
    whole = np.asarray(Image.open(path))
    assert whole.shape == (4, 30, 3) and np.array_equal(whole[2:, 6:9], images[12]) and not whole[2:, 9:].any()


@pytest.mark.parametrize(
    ("images", "levels", "said"),
    [
        (np.zeros((2, 3, 3), np.uint8), 2, "images[..., None]"),
        (np.zeros((2, 3, 3, 2), np.uint8), 2, "C = 1, 3 or 4"),
        (np.full((2, 3, 3, 1), 2), 2, "whole numbers in 0..1"),
        (np.zeros((2, 3, 3, 1)), 2, "whole numbers in 0..1"),
        (np.zeros((2, 3, 3, 1), np.uint8), 1, "levels: got 1"),
    ],
)
def test_what_is_no_picture_is_not_saved(images, levels, said, tmp_path, refused):
    with refused(ValueError, said):
        save_pictures(images, tmp_path / "a", levels)
    assert not (tmp_path / "a").exists()


def test_arrays():
    images = noise.integers(256, size=(50, 3, 4, 1), dtype=np.uint8)
    ds, more = from_arrays(images[:30], split=0.3), from_arrays(images, split=0.3)
    assert ds.levels == 256 and ds.classes == (".",) and len(ds.everything().images) == 30
    assert all(places(more)[content] == name for content, name in places(ds).items())
    named = from_arrays(images[..., 0], ["b", "a"] * 25)
    assert named.classes == ("a", "b") and named.image_shape == (3, 4, 1)
    label = {image.tobytes(): n % 2 for n, image in enumerate(images)}
    everything = named.everything()
    assert all(label[i.tobytes()] == 1 - k for i, k in zip(everything.images, everything.labels, strict=True))
    assert from_arrays(images > 100).levels == 2
    assert from_arrays(images.astype(np.int64) * 3, levels=1000).train.images.dtype == np.uint16


@pytest.mark.parametrize(
    ("images", "options", "said"),
    [
        (np.zeros((3, 4)), {}, "images: got"),
        (np.zeros((3, 4, 4, 1)), {}, "images: got dtype float64"),
        (np.zeros((3, 4, 4, 1), int), {}, "levels: got none for int64 images"),
        (np.full((3, 4, 4, 1), 9), {"levels": 9}, "images: got levels 9..9, wanted 0..8"),
        (np.zeros((3, 4, 4, 1), np.uint8), {"labels": [0, 1]}, "labels: got"),
        (np.zeros((3, 4, 4, 1), np.uint8), {"labels": [0, 1, -1]}, "labels: got -1"),
        (np.zeros((3, 4, 4, 1), np.uint8), {"split": 1}, "split: got 1"),
        (np.zeros((0, 4, 4, 1), np.uint8), {}, "images: got shape (0, 4, 4, 1)"),
    ],
)
def test_arrays_that_are_no_images(images, options, said, refused):
    with refused(ValueError, said):
        from_arrays(images, **options)


AUGMENTATIONS = {"flip": mp.datasets.flip(), "shift": mp.datasets.shift(2), "crop": mp.datasets.crop(0.5)}


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("size", [(1, 1), (5, 8), (6, 6)])
def test_augmentations(name, dtype, size):
    """Shapes and levels stay, every image is made of its own pixels, and the same numbers make the same images."""
    images = noise.integers(1000 if dtype == np.uint16 else 256, size=(40, *size, 3)).astype(dtype)
    before, transform = images.copy(), AUGMENTATIONS[name]
    one, two, three = (transform(images, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert one.shape == images.shape and one.dtype == dtype and np.array_equal(images, before)
    assert np.array_equal(one, two) and (size == (1, 1) or not np.array_equal(one, three))
    for image, changed in zip(images, one, strict=True):
        assert set(map(tuple, changed.reshape(-1, 3))) <= set(map(tuple, image.reshape(-1, 3)))


def test_flipped_or_not_with_equal_chances():
    images = noise.integers(256, size=(400, 2, 3, 1), dtype=np.uint8)
    mirrored = (mp.datasets.flip()(images, np.random.default_rng(0)) == images[:, :, ::-1]).all(axis=(1, 2, 3))
    assert 150 < mirrored.sum() < 250


def test_shifted_by_no_more_than_said():
    ramp = np.add.outer(np.arange(8) * 10, np.arange(9)).astype(np.uint8)[None, ..., None].repeat(300, axis=0)
    moved = mp.datasets.shift(2)(ramp, np.random.default_rng(0))[:, 3:5, 3:5, 0].astype(int) - ramp[:, 3:5, 3:5, 0]
    assert (moved == moved[:, :1, :1]).all()
    assert set(moved[:, 0, 0]) == {10 * down + across for down in range(-2, 3) for across in range(-2, 3)}
    assert np.array_equal(mp.datasets.shift(0)(ramp, np.random.default_rng(0)), ramp)
    assert np.array_equal(mp.datasets.crop(1)(ramp, np.random.default_rng(0)), ramp)
