"""What becomes of a picture on its way into a set: scaled, cut, of so many channels and levels, under any name."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_files import KINDS, png16, saved, with_alpha

from minipixel.datasets import from_folder, quantize
from minipixel.datasets.places import key_of, place_of
from minipixel.datasets.preparation import on_background, scaled, to_levels

rng = np.random.default_rng(0)
COLOURS = [rng.integers(256, size=(6, 6, 3), dtype=np.uint8) for _ in range(12)]


@pytest.fixture(autouse=True)
def cache(caches):
    return caches / "pictures"


def fill(folder, *files):
    """Write files (name, content) into a folder."""
    for name, content in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def numbered(pictures, kind="PNG"):
    return [(f"{n:02}.png", saved(picture, kind)) for n, picture in enumerate(pictures)]


def everything(ds):
    """Image and class by the name of the file, of all splits."""
    whole = ds.everything()
    classes = [ds.classes[label] for label in whole.labels]
    return {
        Path(file).name: (image, name) for file, image, name in zip(whole.files, whole.images, classes, strict=True)
    }


def test_every_kind_of_file(tmp_path):
    """All come upright, in one size; the picture stays what it was, but for what its format loses."""
    values = np.rint(np.linspace(40, 200, 40)[:, None, None] + np.zeros((40, 28, 3))).astype(np.uint8)
    values[:, :14, 0] //= 2
    folder = fill(
        tmp_path / "set",
        *((f"{kind}{end}", content) for kind, (content, end) in ((kind, make(values)) for kind, make in KINDS.items())),
    )
    found = everything(from_folder(folder, (20, 14), background=(255, 0, 0)))
    assert len(found) == len(KINDS)
    wanted = scaled(values, (0, 0, 28, 40), (20, 14)).astype(int)
    for name, (image, _) in found.items():
        aim = wanted[..., :1] if "grey" in name else (wanted + [255, 0, 0]) // 2 if "alpha" in name else wanted
        off = np.abs(image - aim).mean()
        assert off < (60 if "1-bit" in name else 12), (name, off)


@pytest.mark.parametrize("first", [0, 1, 2])
def test_the_order_of_files_makes_no_difference_to_channels(tmp_path, first):
    """What was written narrow is written anew when a wider picture comes, wherever that stands."""
    kinds = [COLOURS[0][..., 0], COLOURS[1], with_alpha(COLOURS[2])]
    files = [(f"{n:02}.png", saved(kinds[(n + first) % 3] // (n + 1), "PNG")) for n in range(9)]
    found = everything(from_folder(fill(tmp_path, *files), levels=16))
    for n in range(9):
        image, wanted = found[f"{n:02}.png"][0], kinds[(n + first) % 3] // (n + 1)
        wanted = wanted[..., None].repeat(3, axis=2) if wanted.ndim == 2 else wanted
        np.testing.assert_array_equal(image[..., : wanted.shape[2]], wanted // 16)
        assert wanted.shape[2] == 4 or (image[..., 3] == 15).all()


@pytest.mark.parametrize("levels", [2, 3, 17, 256, 257, 1000, 65536])
def test_levels(tmp_path, levels):
    """Of 8 bits as `quantize` cuts them; of 16 bits, above 256 levels, all that they have."""
    deep = rng.integers(65536, size=(5, 6, 3), dtype=np.uint16)
    flat = rng.integers(256, size=(5, 6, 3), dtype=np.uint8)
    ds = from_folder(fill(tmp_path, ("deep.png", png16(deep)), ("flat.png", saved(flat, "PNG"))), levels=levels)
    found = everything(ds)
    assert ds.train.images.dtype == (np.uint8 if levels <= 256 else np.uint16) and ds.levels == levels
    if levels <= 256:
        np.testing.assert_array_equal(found["flat.png"][0], quantize(flat[None], 256, levels)[0])
        rounded = np.rint(deep / 257).astype(np.uint8)
        np.testing.assert_array_equal(found["deep.png"][0], quantize(rounded[None], 256, levels)[0])
    else:
        np.testing.assert_array_equal(found["deep.png"][0], deep.astype(int) * levels // 65536)
        np.testing.assert_array_equal(found["flat.png"][0], flat.astype(int) * 257 * levels // 65536)


def test_levels_use_their_whole_range():
    for levels in (2, 5, 256, 300, 65536):
        for pixels in (np.arange(256, dtype=np.uint8), np.arange(65536, dtype=np.uint16)):
            got = to_levels(pixels, levels)
            assert got.min() == 0 and got.max() == levels - 1 and (np.diff(got.astype(int)) >= 0).all()


@pytest.mark.parametrize("crop", ["centre", "random", "stretch"])
def test_crops(tmp_path, crop):
    """A wide picture of a column that counts: what is cut shows in the numbers."""
    wide = np.arange(120, dtype=np.uint8)[None, :].repeat(40, axis=0)
    fill(tmp_path, ("a.png", saved(wide, "PNG")))
    image = everything(from_folder(tmp_path, 4, crop=crop))["a.png"][0][..., 0]
    steps = np.diff(image[0].astype(int))
    assert (image == image[0]).all() and (np.abs(steps - (30 if crop == "stretch" else 10)) <= 1).all()
    middle = image[0].mean()
    if crop != "random":
        assert abs(middle - 59.5) <= 1
    else:
        assert 19 < middle < 100 and abs(middle - 59.5) > 1
        again = everything(from_folder(tmp_path, 4, crop=crop, rng=1))["a.png"][0]
        assert (again[..., 0] != image).any()


def test_what_is_clear_adds_no_colour():
    """The hidden colour of clear pixels is not mixed into their neighbours when a picture becomes smaller."""
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[:2] = [200, 100, 50, 255]
    pixels[2:] = [0, 255, 0, 0]
    small = scaled(pixels, (0, 0, 4, 4), (1, 1))
    assert small[0, 0].tolist() == [200, 100, 50, 128]
    assert scaled(pixels[2:], (0, 0, 4, 2), (1, 1))[0, 0].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_background(dtype):
    top = np.iinfo(dtype).max
    pixels = rng.integers(top + 1, size=(9, 9, 4)).astype(dtype)
    wanted = pixels[..., :3] * (pixels[..., 3:] / top) + np.array([255, 0, 10]) * (top // 255) * (
        1 - pixels[..., 3:] / top
    )
    assert np.abs(on_background(pixels, (255, 0, 10)) - wanted).max() <= 0.5 + 1e-6
    assert on_background(pixels[..., 2:], (7, 7, 7)).shape == (9, 9, 1)


def test_accents_are_one_class_however_they_are_written(tmp_path):
    fill(tmp_path, ("caf\u00e9/1.png", saved(COLOURS[0], "PNG")), ("cafe\u0301/2.png", saved(COLOURS[1], "PNG")))
    assert from_folder(tmp_path).classes == ("caf\u00e9",)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems want names that are text")
def test_names_that_are_no_text(tmp_path):
    names = [os.fsdecode(name) for name in (b"set/\xff\xfe/\xfd.png", b"set/\xff\xfe/bad\xfc.png")]
    fill(tmp_path, *((name, saved(COLOURS[0], "PNG")[: 60 if "bad" in name else None]) for name in names))
    with pytest.warns(UserWarning) as said:
        ds = from_folder(tmp_path / "set")
    assert len(ds.everything().images) == 1
    assert all(str(warning.message).isprintable() for warning in said) and str(ds).isprintable()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"size": 0}, "size: got 0, wanted a whole number in 1..65535"),
        ({"size": 2.0}, "size: got 2.0"),
        ({"size": (1, 2, 3)}, "size: got (1, 2, 3), wanted a whole number, or (H, W), or None"),
        ({"channels": 2}, "channels: got 2, wanted 1 (grey), 3 (colours), 4 (with alpha), or None"),
        ({"levels": 1}, "levels: got 1, wanted a whole number in 2..65536"),
        ({"levels": 65537}, "levels: got 65537"),
        ({"crop": "center"}, "crop: got 'center', wanted one of 'centre', 'random', 'stretch'; did you mean 'centre'?"),
        ({"background": "whit"}, "background: got 'whit', wanted a colour"),
        ({"background": (1, 2)}, "background: got (1, 2)"),
        ({"background": 256}, "background: got 256"),
        ({"split": 1}, "split: got 1, wanted the share of test pictures"),
        ({"split": True}, "split: got True"),
        ({"strict": 1}, "strict: got 1, wanted True or False"),
        ({"rng": "x"}, "rng: got 'x'"),
    ],
)
def test_arguments_that_cannot_be_meant(tmp_path, refused, options, said):
    with refused(ValueError, said):
        from_folder(fill(tmp_path, *numbered(COLOURS[:1])), **options)


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=50, unique=True), st.integers(0, 1000))
@settings(max_examples=50, deadline=None)
def test_a_place_depends_on_content_and_key_alone(digests, seed):
    key = key_of(seed)
    places = {digest: place_of(digest, key) for digest in digests}
    assert all(0 <= place < 1 for place in places.values()) and len(set(places.values())) == len(digests)
    assert all(place_of(digest, key_of(seed)) == place for digest, place in places.items())
