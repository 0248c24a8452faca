"""A folder of pictures becomes a data set: sizes, channels, levels, classes, splits, what is bad, and the cache."""

import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_files import KINDS, png16, saved, smooth, with_alpha

import minipixel as mp
from minipixel.datasets import from_folder, quantize, store
from minipixel.datasets.places import key_of, place_of
from minipixel.datasets.preparation import Preparation, on_background, scaled, to_levels
from minipixel.errors import FormatError

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


def test_pixels_come_out_as_they_are(tmp_path):
    ds = from_folder(fill(tmp_path / "set", *numbered(COLOURS)))
    assert ds.image_shape == (6, 6, 3) and ds.levels == 256 and ds.classes == (".",) and ds.name == "set"
    found = everything(ds)
    assert len(found) == 12
    for n, picture in enumerate(COLOURS):
        np.testing.assert_array_equal(found[f"{n:02}.png"][0], picture)
    ds.train.images[:] = 0  # they are the caller's


def test_every_kind_of_file(tmp_path):
    """All come upright, in one size; the picture stays what it was, but for what its format loses."""
    values = np.rint(np.linspace(40, 200, 40)[:, None, None] + np.zeros((40, 28, 3))).astype(np.uint8)
    values[:, :14, 0] //= 2
    folder = fill(tmp_path / "set", *((f"{kind}{end}", content) for kind, (content, end) in of_kinds(values)))
    found = everything(from_folder(folder, (20, 14), background=(255, 0, 0)))
    assert len(found) == len(KINDS)
    wanted = scaled(values, (0, 0, 28, 40), (20, 14)).astype(int)
    for name, (image, _) in found.items():
        aim = wanted[..., :1] if "grey" in name else (wanted + [255, 0, 0]) // 2 if "alpha" in name else wanted
        off = np.abs(image - aim).mean()
        assert off < (60 if "1-bit" in name else 12), (name, off)


def of_kinds(values):
    return [(kind, make(values)) for kind, make in KINDS.items()]


@pytest.mark.parametrize(
    ("pictures", "channels", "background", "wanted"),
    [
        (["grey"], None, None, 1),
        (["grey", "grey in colours"], None, None, 1),
        (["grey", "colours"], None, None, 3),
        (["grey", "alpha"], None, None, 4),
        (["grey", "alpha"], None, "white", 3),
        (["opaque alpha", "grey"], None, None, 1),
        (["grey", "colours"], 1, None, 1),
        (["grey"], 3, None, 3),
        (["grey", "colours", "alpha"], 4, None, 4),
        (["colours", "alpha"], 1, 0, 1),
    ],
)
def test_channels(tmp_path, pictures, channels, background, wanted):
    make = {
        "grey": COLOURS[0][..., 0],
        "grey in colours": COLOURS[0][..., :1].repeat(3, axis=2),
        "colours": COLOURS[1],
        "alpha": with_alpha(COLOURS[2]),
        "opaque alpha": np.concatenate(
            [COLOURS[0][..., :1].repeat(3, axis=2), np.full((6, 6, 1), 255, np.uint8)], axis=2
        ),
    }
    files = [(f"{name}.png", saved(make[name], "PNG")) for name in pictures]
    ds = from_folder(fill(tmp_path, *files), channels=channels, background=background)
    assert ds.image_shape == (6, 6, wanted) and ds.pictures["channels"] == wanted
    found = everything(ds)
    if wanted == 4:
        for name, (image, _) in found.items():
            assert (image[..., 3] == (128 if name == "alpha.png" else 255)).all()
    if wanted >= 3 and "grey.png" in found:
        np.testing.assert_array_equal(found["grey.png"][0][..., :3], make["grey"][..., None].repeat(3, axis=2))


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


@pytest.mark.parametrize("channels", [1, 3])
def test_transparent_pictures_need_a_background(tmp_path, refused, channels):
    fill(tmp_path, ("a.png", saved(with_alpha(COLOURS[0]), "PNG")))
    with refused(ValueError, "a.png: got transparent pixels", f"channels={channels}; give background='white'"):
        from_folder(tmp_path, channels=channels)


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


def test_sizes_that_differ(tmp_path, refused):
    fill(tmp_path, ("a.png", saved(COLOURS[0], "PNG")), ("b.png", saved(COLOURS[1][:5], "PNG")))
    with refused(ValueError, "size: got None for pictures of several sizes", "6x6", "5x6", "size=5, say, scales all"):
        from_folder(tmp_path)
    assert from_folder(tmp_path, 3).image_shape == (3, 3, 3)
    assert from_folder(tmp_path, (3, 7)).image_shape == (3, 7, 3)


def test_subfolders_are_classes(tmp_path):
    files = [("cat/1.png", 0), ("cat/deep/er/2.png", 1), ("dog/3.png", 2), ("4.png", 3), (".hidden/5.png", 4)]
    files += [("dog/.6.png", 5), ("__MACOSX/7.png", 6), ("empty/notes.txt", 7)]
    fill(tmp_path, *((name, saved(COLOURS[n], "PNG")) for name, n in files[:-1]), ("empty/notes.txt", b"nothing"))
    ds = from_folder(tmp_path)
    assert ds.classes == (".", "cat", "dog") == tuple(ds.pictures["classes"])
    assert {name: of for name, (_, of) in everything(ds).items()} == {
        "1.png": "cat", "2.png": "cat", "3.png": "dog", "4.png": ".",
    }  # fmt: skip


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


def test_links_in_a_circle(tmp_path):
    fill(tmp_path, ("set/cat/1.png", saved(COLOURS[0], "PNG")), ("elsewhere/2.png", saved(COLOURS[1], "PNG")))
    (tmp_path / "set" / "cat" / "up").symlink_to(tmp_path / "set")
    (tmp_path / "set" / "dog").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set" / "dog2").symlink_to(tmp_path / "set" / "dog")
    ds = from_folder(tmp_path / "set")
    assert sorted(everything(ds)) == ["1.png", "2.png"] and ds.classes == ("cat", "dog")


def test_bad_files_are_named_and_left_out(tmp_path, refused):
    fill(tmp_path, *numbered(COLOURS), ("cut.png", saved(COLOURS[0], "PNG")[:70]), ("page.JPG", b"<html>"))
    fill(tmp_path, ("notes.txt", b"no picture"), ("a.npy", b"\x93NUMPY"), ("archive.zip", b"PK\3\4"))
    (tmp_path / "gone.gif").symlink_to(tmp_path / "nowhere")
    with pytest.warns(UserWarning) as said:
        ds = from_folder(tmp_path)
    texts = [str(warning.message) for warning in said]
    assert len(texts) == 4 and texts[-1].endswith("3 of 15 pictures are left out")
    assert "cut.png: got a PNG file that Pillow cannot read" in "\n".join(texts)
    assert "page.JPG: starts with 3c 68" in "\n".join(texts) and "gone.gif: No such file" in "\n".join(texts)
    assert len(ds.everything().images) == 12
    with pytest.warns(UserWarning) as again:  # from the cache, which knows of them
        from_folder(tmp_path)
    assert sorted(str(warning.message) for warning in again) == sorted(texts)
    with refused(FormatError, tmp_path, "gone.gif: No such file"):
        from_folder(tmp_path, strict=True)


def test_the_header_leaves_every_pixel_alone(tmp_path):
    """Of the largest set that there may be it has the length that was left for it."""
    import io

    for shape in [(1, 1, 1, 1), (10**10, 65535, 65535, 4)]:
        file = io.BytesIO()
        rows = store.Rows(file, 255)
        rows.count, rows.shape, rows.dtype = shape[0], shape[1:], np.dtype(np.uint16)
        rows.finish()
        assert len(file.getvalue()) == store.HEADER


@pytest.mark.parametrize("name", ["cut.png", "page.JPG"])
@pytest.mark.parametrize("kept", [False, True])
def test_strict_stops_at_each(tmp_path, refused, name, kept):
    """Also where the cache knows of it."""
    content = saved(COLOURS[0], "PNG")[:70] if name == "cut.png" else b"<html>"
    fill(tmp_path, *numbered(COLOURS), (name, content))
    if kept:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from_folder(tmp_path)
    with refused(FormatError, tmp_path / name):
        from_folder(tmp_path, strict=True)


def test_what_is_no_folder_of_pictures(tmp_path, refused):
    (tmp_path / "empty").mkdir()
    with refused(ValueError, "empty: got a folder without pictures, wanted PNG, JPEG"):
        from_folder(tmp_path / "empty")
    with refused(FileNotFoundError, "nowhere"):
        from_folder(tmp_path / "nowhere")
    (tmp_path / "a.zip").write_bytes(b"PK")
    with refused(NotADirectoryError, "a.zip", "got a file, wanted a folder of pictures; unpack an archive first"):
        from_folder(tmp_path / "a.zip")
    fill(tmp_path / "bad", ("a.png", b"x"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with refused(ValueError, "bad: got 1 pictures, none of which can be read"):
            from_folder(tmp_path / "bad")


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


# --- splits -----------------------------------------------------------------------------------------------------------


def split_of(ds):
    return {Path(file).name: name for name in ("train", "validation", "test") for file in getattr(ds, name).files}


def test_new_files_move_no_old_ones_and_copies_go_together(tmp_path):
    many = [rng.integers(256, size=(2, 2, 1), dtype=np.uint8) for _ in range(200)]
    files = [(f"{n:03}.png", saved(picture[..., 0], "PNG")) for n, picture in enumerate(many)]
    before = split_of(from_folder(fill(tmp_path, *files[:120]), split=0.2))
    fill(tmp_path, *files[120:], *((f"b/copy-{name}", content) for name, content in files))
    after = split_of(from_folder(tmp_path, split=0.2))
    assert all(after[name] == split for name, split in before.items())
    assert all(after[f"copy-{name}"] == after[name] for name, _ in files)
    counts = {name: list(after.values()).count(name) / 400 for name in ("train", "validation", "test")}
    assert abs(counts["test"] - 0.2) < 0.1 and abs(counts["validation"] - 0.08) < 0.06
    other = split_of(from_folder(tmp_path, split=0.2, rng=1))
    assert other != after
    larger = split_of(from_folder(tmp_path, split=0.5))
    assert all(larger[name] == "test" for name, split in after.items() if split == "test")
    assert "test" not in split_of(from_folder(tmp_path, split=0)).values()


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=50, unique=True), st.integers(0, 1000))
@settings(max_examples=50, deadline=None)
def test_a_place_depends_on_content_and_key_alone(digests, seed):
    key = key_of(seed)
    places = {digest: place_of(digest, key) for digest in digests}
    assert all(0 <= place < 1 for place in places.values()) and len(set(places.values())) == len(digests)
    assert all(place_of(digest, key_of(seed)) == place for digest, place in places.items())


# --- the cache --------------------------------------------------------------------------------------------------------


def counting(monkeypatch):
    """How many pictures are decoded from now on."""
    from minipixel.datasets import folder

    decoded, decode = [], folder.decode_picture
    monkeypatch.setattr(folder, "decode_picture", lambda name, content: decoded.append(name) or decode(name, content))
    return decoded


def test_the_second_time_nothing_is_decoded(tmp_path, monkeypatch, cache):
    """Wherever the folder is, and whatever its files are called: the content counts, and what is done to it."""
    decoded = counting(monkeypatch)
    first = from_folder(fill(tmp_path / "set", *numbered(COLOURS)), 3)
    assert len(decoded) == 12
    again = from_folder(tmp_path / "set", 3)
    shutil.copytree(tmp_path / "set", tmp_path / "other")
    (tmp_path / "other" / "00.png").rename(tmp_path / "other" / "zebra.dat")
    other = from_folder(tmp_path / "other", 3)
    assert len(decoded) == 12
    for ds in (again, other):
        np.testing.assert_array_equal(ds.everything().images, first.everything().images)
    np.testing.assert_array_equal(everything(other)["zebra.dat"][0], everything(first)["00.png"][0])
    for options in ({"size": 4}, {"size": 3, "levels": 16}, {"size": 3, "channels": 1}, {"size": 3, "crop": "stretch"}):
        decoded.clear()
        from_folder(tmp_path / "set", **options)
        assert len(decoded) == 12, options
    assert not [path for path in cache.iterdir() if path.suffix not in (".npy", ".json")]


def damaged(path, how):
    if how == "cut":
        path.write_bytes(path.read_bytes()[:-10])
    elif how == "a bit":
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    elif how == "no JSON":
        path.write_bytes(b"{")
    elif how == "a list":
        path.write_bytes(b"[]")
    else:
        path.write_bytes(b"{}")


@pytest.mark.parametrize(
    ("file", "how"), [("npy", "cut"), ("npy", "a bit"), ("json", "no JSON"), ("json", "a list"), ("json", "{}")]
)
def test_a_damaged_cache_is_made_anew_with_one_warning(tmp_path, cache, file, how):
    wanted = from_folder(fill(tmp_path / "set", *numbered(COLOURS))).everything().images.copy()
    damaged(next(cache.glob(f"*.{file}")), how)
    with pytest.warns(UserWarning, match="the cache is damaged .*, and is made anew") as said:
        got = from_folder(tmp_path / "set")
    assert len(said) == 1
    np.testing.assert_array_equal(got.everything().images, wanted)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        from_folder(tmp_path / "set")


def test_without_a_cache_that_can_be_written(tmp_path, cache):
    cache.parent.mkdir()
    cache.write_bytes(b"a file in its place")
    fill(tmp_path / "set", *numbered(COLOURS), ("grey.png", saved(COLOURS[0][..., 0], "PNG")))
    with pytest.warns(UserWarning, match="the cache cannot be written .*, so all pictures are read each time") as said:
        ds = from_folder(tmp_path / "set")
    assert len(said) == 1 and len(ds.everything().images) == 13


def test_a_disk_that_fills_up(tmp_path, monkeypatch, cache):
    """In the middle of writing: nothing is left behind, and the pictures are there."""
    append = store.Rows.append

    def full(rows, image):
        if rows.count == 5 and hasattr(rows.file, "fileno") and not isinstance(rows.file, __import__("io").BytesIO):
            raise OSError(28, "No space left on device")
        append(rows, image)

    monkeypatch.setattr(store.Rows, "append", full)
    with pytest.warns(UserWarning, match="No space left on device"):
        ds = from_folder(fill(tmp_path / "set", *numbered(COLOURS)))
    assert len(ds.everything().images) == 12 and not list(cache.iterdir())


def test_what_is_not_used_is_removed(tmp_path, cache):
    from_folder(fill(tmp_path / "set", *numbered(COLOURS)))
    (old,) = cache.glob("*.json")
    os.utime(old, (0, 0))
    from_folder(tmp_path / "set", 3)
    assert not old.exists() and len(list(cache.iterdir())) == 2
    (kept,) = cache.glob("*.json")
    os.utime(kept, (0, 0))
    from_folder(tmp_path / "set", 3)  # use makes it young again
    from_folder(tmp_path / "set", 2)
    assert kept.exists()


PROGRAM = """
import sys
import numpy as np
import minipixel as mp
from minipixel.datasets import store
store.IN_MEMORY = 1 << 20
ds = mp.datasets.from_folder(sys.argv[1], 256)
assert not ds.train.images.flags.writeable and len(ds.train.images) > 200
model = mp.models.PixelCNN((256, 256, 3), 256, hidden=3, blocks=1, head="logistic_mixture", mixtures=1)


from minipixel.training.training import _fingerprint
from minipixel.training.chosen import Chosen
anonymous = lambda: int(next(line for line in open("/proc/self/status") if line.startswith("RssAnon")).split()[1])
start = anonymous()
images = ds.train.images
assert np.shares_memory(model.checked(images, None)[0], images)
chosen = Chosen(images, np.arange(len(images))[::-1])
_fingerprint(images), _fingerprint(chosen), chosen[[3, 5]]
print(anonymous() - start, images.nbytes // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_large_folder_is_never_in_memory(tmp_path):
    """It is mapped, and what a training does with all of it at once copies none of it."""
    for n in range(300):
        fill(tmp_path / "set", (f"{n}.bmp", saved(smooth(16, 16, rng), "BMP")))
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "set")]
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "own")}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    grown, size = map(int, done.stdout.split())
    assert size > 40_000 and grown < size / 2


@pytest.mark.parametrize("validation", [None, 0.2])
def test_a_mapped_set_trains_to_the_same_bits(tmp_path, monkeypatch, validation):
    monkeypatch.setattr(store, "IN_MEMORY", 0)
    images = from_folder(fill(tmp_path, *numbered([picture[..., 0] for picture in COLOURS])), levels=4).train.images
    assert not images.flags.owndata and not images.flags.writeable

    def trained(images):
        model = mp.models.PixelCNN((6, 6, 1), 4, hidden=2, blocks=1)
        history = mp.fit(model, images, validation=validation, epochs=2, batch_size=4, progress=False)
        return model.state_dict(), history.history["loss"]

    (mapped, losses), (copied, wanted) = trained(images), trained(images.copy())
    assert losses == wanted and all(np.array_equal(mapped[name], copied[name]) for name in mapped)


def test_preparations_show_themselves():
    assert Preparation(levels=4).dtype == np.uint8 and Preparation(levels=300).dtype == np.uint16
