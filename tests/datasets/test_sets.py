"""fashion_mnist, cifar10 and quickdraw, on small files in their formats."""

import gzip
import hashlib
import io
import struct
import tarfile

import numpy as np
import pytest

from minipixel import datasets
from minipixel.datasets import cifar10, fashion_mnist, quickdraw
from minipixel.errors import FormatError

rng = np.random.default_rng(0)


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def put(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


# --- fashion_mnist ------------------------------------------------------------------------------------------------


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


CLOTHES = {
    "train-images-idx3-ubyte.gz": rng.integers(256, size=(5, 4, 4), dtype=np.uint8),
    "train-labels-idx1-ubyte.gz": rng.integers(10, size=5, dtype=np.uint8),
    "t10k-images-idx3-ubyte.gz": rng.integers(256, size=(3, 4, 4), dtype=np.uint8),
    "t10k-labels-idx1-ubyte.gz": rng.integers(10, size=3, dtype=np.uint8),
}
CLOTHES_FILES = {name: gzip.compress(idx(array), mtime=0) for name, array in CLOTHES.items()}
CLOTHES_DIGESTS = {name: sha256(content) for name, content in CLOTHES_FILES.items()}


def check_clothes(ds):
    assert str(ds) == "fashion_mnist: 5 train + 0 validation + 3 test images, 4x4x1, 256 levels, 10 classes"
    assert ds.classes[0] == "T-shirt/top" and ds.classes[9] == "Ankle boot"
    for split, part in ((ds.train, "train"), (ds.test, "t10k")):
        assert np.array_equal(split.images[..., 0], CLOTHES[f"{part}-images-idx3-ubyte.gz"])
        assert np.array_equal(split.labels, CLOTHES[f"{part}-labels-idx1-ubyte.gz"])
        assert split.images.dtype == np.uint8 and split.labels.dtype == np.int64 and split.images.flags.writeable


@pytest.mark.parametrize("place", ["", "fashion_mnist"])
def test_clothes_in_a_folder(tmp_path, caches, no_download, monkeypatch, place):
    put(tmp_path / "data" / place, CLOTHES_FILES)
    check_clothes(fashion_mnist.load_from(tmp_path / "data", CLOTHES_DIGESTS, ()))
    monkeypatch.setenv("MINIPIXEL_DATA", str(tmp_path / "data"))
    check_clothes(fashion_mnist.load_from(None, CLOTHES_DIGESTS, ()))


def test_clothes_beside_digits_of_the_same_name(tmp_path, caches, no_download, refused):
    """The folder named after the set goes first; digits alone are not taken for clothes."""
    digits = {name: gzip.compress(idx(array), mtime=0) for name, array in CLOTHES.items() for array in [array[::-1]]}
    put(tmp_path / "data", digits)
    with refused(FormatError, tmp_path / "data", "SHA-256", "it is not the original of this data set"):
        fashion_mnist.load_from(tmp_path / "data", CLOTHES_DIGESTS, ())
    put(tmp_path / "data" / "fashion_mnist", CLOTHES_FILES)
    check_clothes(fashion_mnist.load_from(tmp_path / "data", CLOTHES_DIGESTS, ()))


def test_clothes_from_the_network(tmp_path, caches, server, closed_port):
    address, asked = server
    put(tmp_path / "www", CLOTHES_FILES)
    check_clothes(fashion_mnist.load_from(None, CLOTHES_DIGESTS, [closed_port, address]))
    assert sorted(path.name for path in (caches / "fashion_mnist").iterdir()) == sorted(CLOTHES_FILES)
    check_clothes(fashion_mnist.load_from(None, CLOTHES_DIGESTS, [closed_port, address]))
    assert len(asked) == 4


# --- cifar10 ------------------------------------------------------------------------------------------------------


def record(label, image):
    return bytes([label]) + image.transpose(2, 0, 1).tobytes()


IMAGES = rng.integers(256, size=(12, 32, 32, 3), dtype=np.uint8)
LABELS = np.arange(12) % 10
BATCHES = {
    name: b"".join(record(int(LABELS[n]), IMAGES[n]) for n in (2 * place, 2 * place + 1))
    for place, name in enumerate(cifar10.BATCHES)
}


def archive(files, prefix="cifar-10-batches-bin/"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(prefix + name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


TAR = archive({"readme.html": b"<html>", **BATCHES})
CIFAR_DIGESTS = {cifar10.ARCHIVE: sha256(TAR), **{name: sha256(content) for name, content in BATCHES.items()}}


def check_things(ds):
    assert str(ds) == "cifar10: 9 train + 1 validation + 2 test images, 32x32x3, 256 levels, 10 classes"
    assert np.array_equal(ds.train.images, IMAGES[:9]) and np.array_equal(ds.test.images, IMAGES[10:])
    assert np.array_equal(ds.train.labels, LABELS[:9]) and np.array_equal(ds.test.labels, LABELS[10:])
    assert np.array_equal(ds.validation.images, IMAGES[9:10]) and np.array_equal(ds.validation.labels, LABELS[9:10])
    assert ds.classes[3] == "cat" and ds.train.images.dtype == np.uint8 and ds.train.labels.dtype == np.int64
    assert ds.train.images.flags.writeable and ds.test.images.flags.c_contiguous


@pytest.mark.parametrize("files", [{cifar10.ARCHIVE: TAR}, BATCHES], ids=["archive", "batches"])
@pytest.mark.parametrize("place", ["", "cifar10", "cifar-10-batches-bin", "cifar10/cifar-10-batches-bin"])
def test_things_in_a_folder(tmp_path, caches, no_download, monkeypatch, place, files):
    if cifar10.ARCHIVE in files:
        place = place.removesuffix(cifar10.INSIDE)
    put(tmp_path / "data" / place, files)
    before = sorted(tmp_path.rglob("*"))
    check_things(cifar10.load_from(tmp_path / "data", CIFAR_DIGESTS, ()))
    monkeypatch.setenv("MINIPIXEL_DATA", str(tmp_path / "data"))
    check_things(cifar10.load_from(None, CIFAR_DIGESTS, ()))
    assert sorted(tmp_path.rglob("*")) == before  # nothing is unpacked


def test_things_from_the_network(tmp_path, caches, server):
    address, asked = server
    put(tmp_path / "www", {cifar10.ARCHIVE: TAR})
    for _ in range(2):
        check_things(cifar10.load_from(None, CIFAR_DIGESTS, [f"{address}{cifar10.ARCHIVE}"]))
    assert len(asked) == 1 and [path.name for path in (caches / "cifar10").iterdir()] == [cifar10.ARCHIVE]


def test_things_without_a_network(caches, closed_port, refused):
    url = f"{closed_port}{cifar10.ARCHIVE}"
    with refused(ConnectionError, url, "(ConnectionError)", f"can be put in {caches / 'cifar10'} by hand"):
        cifar10.load_from(None, CIFAR_DIGESTS, [url])


def test_no_things_in_a_folder(tmp_path, caches, no_download, refused):
    put(tmp_path, dict(list(BATCHES.items())[:5]))
    with refused(FileNotFoundError, "cifar10: no cifar-10-binary.tar.gz in", tmp_path / "cifar10", cifar10.URLS[0]):
        datasets.load("cifar10", tmp_path)


def test_another_archive_never_reaches_tarfile(tmp_path, caches, no_download, monkeypatch, refused):
    put(tmp_path, {cifar10.ARCHIVE: archive(BATCHES, prefix="../")})
    monkeypatch.setattr(tarfile, "open", lambda *_, **__: pytest.fail("opened"))
    with refused(FormatError, tmp_path / cifar10.ARCHIVE, "SHA-256", f"expected {CIFAR_DIGESTS[cifar10.ARCHIVE]}"):
        cifar10.load_from(tmp_path, CIFAR_DIGESTS, ())
    with refused(FormatError, tmp_path / cifar10.ARCHIVE, f"expected {cifar10.DIGESTS[cifar10.ARCHIVE]}"):
        datasets.load("cifar10", tmp_path)


def test_another_batch(tmp_path, caches, no_download, refused):
    put(tmp_path, {**BATCHES, "test_batch.bin": BATCHES["data_batch_1.bin"]})
    with refused(FormatError, tmp_path / "test_batch.bin", f"expected {CIFAR_DIGESTS['test_batch.bin']}"):
        cifar10.load_from(tmp_path, CIFAR_DIGESTS, ())


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "0 bytes, expected 1 to 10000 records of 3073"),
        (bytes(3072), "3072 bytes"),
        (bytes(3074), "3074 bytes"),
        (bytes(3073 * 10_001), "30733073 bytes"),
        (bytes(3073) + b"\x0a" + bytes(3072), "record 1 is of class 10, expected 0..9"),
    ],
)
def test_bad_records(tmp_path, refused, content, part):
    put(tmp_path, {"some.bin": content})
    with refused(FormatError, tmp_path / "some.bin", part, "expected"):
        cifar10.read_cifar10(tmp_path / "some.bin")


# --- quickdraw ----------------------------------------------------------------------------------------------------


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


DRAWINGS = {
    name: rng.integers(256, size=(N, 784), dtype=np.uint8) for name, N in (("cat", 14), ("ice cream", 7), ("bat", 12))
}
DRAWING_FILES = {f"{name}.npy": npy(array) for name, array in DRAWINGS.items()}
DRAWING_DIGESTS = {name: sha256(DRAWING_FILES[f"{name}.npy"]) for name in DRAWINGS}


def check_drawings(ds):
    """Classes in turn: cat, ice cream, cat, ...; of each the fifths for the test, the tenth other to validate on."""
    assert str(ds) == "quickdraw: 17 train + 1 validation + 3 test images, 28x28x1, 256 levels, 2 classes"
    assert ds.classes == ("cat", "ice cream")
    assert ds.train.labels.tolist() == [0, 1] * 6 + [0] * 5 and ds.test.labels.tolist() == [0, 1, 0]
    assert ds.validation.labels.tolist() == [0] and np.array_equal(ds.validation.images[0].ravel(), DRAWINGS["cat"][11])
    for label, name in enumerate(ds.classes):
        images = DRAWINGS[name].reshape(-1, 28, 28, 1)
        is_test = np.arange(len(images)) % 5 == 4
        learnt = np.flatnonzero(~is_test)
        learnt = learnt[np.arange(len(learnt)) % 10 != 9]
        assert np.array_equal(ds.train.images[ds.train.labels == label], images[learnt])
        assert np.array_equal(ds.test.images[ds.test.labels == label], images[is_test])
    assert ds.train.images.dtype == np.uint8 and ds.train.labels.dtype == np.int64


@pytest.mark.parametrize("place", ["", "quickdraw"])
def test_drawings_in_a_folder(tmp_path, caches, no_download, monkeypatch, place):
    put(tmp_path / "data" / place, DRAWING_FILES)
    check_drawings(quickdraw.load_from(tmp_path / "data", DRAWING_DIGESTS, "", ("cat", "ice cream"), None))
    monkeypatch.setenv("MINIPIXEL_DATA", str(tmp_path / "data"))
    check_drawings(quickdraw.load_from(None, DRAWING_DIGESTS, "", ["cat", "ice cream"], 1000))


def test_the_first_drawings_of_each(tmp_path, caches, no_download):
    put(tmp_path, DRAWING_FILES)
    ds = quickdraw.load_from(tmp_path, DRAWING_DIGESTS, "", ("bat", "cat"), 12)
    assert ds.train.labels.tolist() == [0, 1] * 9 and ds.validation.labels.tolist() == [0, 1]
    assert ds.test.labels.tolist() == [0, 1] * 2
    assert np.array_equal(ds.test.images[1].ravel(), DRAWINGS["cat"][4])
    assert quickdraw.load_from(tmp_path, DRAWING_DIGESTS, "", "cat", 12).classes == ("cat",)


def test_drawings_from_the_network(tmp_path, caches, server):
    address, asked = server
    put(tmp_path / "www", DRAWING_FILES)
    for _ in range(2):
        check_drawings(quickdraw.load_from(None, DRAWING_DIGESTS, address, ("cat", "ice cream"), None))
    assert sorted(asked) == ["/cat.npy", "/ice%20cream.npy"]
    assert sorted(path.name for path in (caches / "quickdraw").iterdir()) == ["cat.npy", "ice cream.npy"]


def test_no_drawings_in_a_folder(tmp_path, caches, no_download, refused):
    with refused(
        FileNotFoundError,
        "quickdraw: no full_numpy_bitmap_apple.npy or apple.npy in",
        tmp_path,
        f"downloaded from {quickdraw.URL}apple.npy",
    ):
        datasets.load("quickdraw", tmp_path)


def test_other_drawings(tmp_path, caches, no_download, refused):
    put(tmp_path, DRAWING_FILES)
    with refused(FormatError, tmp_path / "cat.npy", f"expected {quickdraw.digests()['cat']}"):
        datasets.load("quickdraw", tmp_path, classes=("cat",), per_class=None)
    for array in (np.zeros((3, 783), np.uint8), np.zeros((3, 784), np.int8), np.zeros((3, 28, 28), np.uint8)):
        put(tmp_path, {"cat.npy": npy(array)})
        with refused(FormatError, tmp_path / "cat.npy", array.shape, "expected uint8 of shape (N, 784)"):
            quickdraw.load_from(tmp_path, {"cat": sha256(npy(array))}, "", ("cat",), None)


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"classes": ("cat", "aple")}, ["unknown class 'aple'", "one of the 345", "did you mean 'apple'?"]),
        ({"classes": ("#!",)}, ["unknown class '#!'", "quickdraw.txt"]),
        ({"classes": ()}, ["classes are ()", "at least one"]),
        ({"classes": ("cat", "cat")}, ["classes are ('cat', 'cat')", "each once"]),
        ({"per_class": 11}, ["per_class is 11", "from 12 up"]),
        ({"per_class": 7.0}, ["per_class is 7.0"]),
    ],
)
def test_drawings_that_cannot_be_meant(tmp_path, refused, options, parts):
    with refused(ValueError, "quickdraw: ", *parts):
        datasets.load("quickdraw", tmp_path, **options)


# --- all of them --------------------------------------------------------------------------------------------------


def test_published_digests_and_addresses():
    known = [*fashion_mnist.DIGESTS.values(), *cifar10.DIGESTS.values(), *quickdraw.digests().values()]
    assert all(len(digest) == 64 and int(digest, 16) for digest in known)
    assert len(set(known)) == len(known) == 4 + 7 + 345
    urls = [*fashion_mnist.MIRRORS, *cifar10.URLS, quickdraw.URL]
    assert all(url.startswith("https://") for url in urls)
    assert {"cat", "The Eiffel Tower", *quickdraw.DEFAULT} <= set(quickdraw.digests())
