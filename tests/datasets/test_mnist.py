import gzip
import hashlib
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from minipixel import datasets
from minipixel.datasets import fetch, mnist
from minipixel.errors import FormatError

rng = np.random.default_rng(0)


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


# A set of 5 + 3 images of 4x4 in the four files of MNIST, and the digests that make it the original.
ARRAYS = {
    "train-images-idx3-ubyte": rng.integers(256, size=(5, 4, 4), dtype=np.uint8),
    "train-labels-idx1-ubyte": rng.integers(10, size=5, dtype=np.uint8),
    "t10k-images-idx3-ubyte": rng.integers(256, size=(3, 4, 4), dtype=np.uint8),
    "t10k-labels-idx1-ubyte": rng.integers(10, size=3, dtype=np.uint8),
}
FILES = {name: idx(array) for name, array in ARRAYS.items()}
DIGESTS = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
FIRST = "train-images-idx3-ubyte"


def put(folder: Path, *, packed=False, content=None):
    """Write the four files, or four times the same wrong content, plain or gzipped."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, original in FILES.items():
        chosen = original if content is None else content
        (folder / f"{name}.gz" if packed else folder / name).write_bytes(gzip.compress(chosen) if packed else chosen)
    return folder


def check(ds):
    assert str(ds) == "mnist: 5 train + 0 validation + 3 test images, 4x4x1, 256 levels, 10 classes"
    assert ds.classes == tuple("0123456789")
    for split, prefix in ((ds.train, "train"), (ds.test, "t10k")):
        assert np.array_equal(split.images[..., 0], ARRAYS[f"{prefix}-images-idx3-ubyte"])
        assert np.array_equal(split.labels, ARRAYS[f"{prefix}-labels-idx1-ubyte"])
        assert split.images.dtype == np.uint8
        assert split.labels.dtype == np.int64
        assert split.images.flags.writeable


@pytest.fixture
def cache(caches):
    return caches / "mnist"


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("subfolder", ["", "mnist"])
@pytest.mark.parametrize("kind", [str, Path])
def test_root_and_its_subfolder(tmp_path, cache, no_download, packed, subfolder, kind):
    put(tmp_path / "data" / subfolder, packed=packed)
    check(mnist.load_from(kind(tmp_path / "data"), DIGESTS, ()))
    assert not cache.exists()


@pytest.mark.parametrize("layout", ["", "mnist", "MNIST/raw"])
@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize("dotted", range(5))
def test_the_names_that_unpackers_give(tmp_path, cache, no_download, layout, end, dotted):
    """`train-images.idx3-ubyte`: some of the files, or all of them, beside those that kept their name."""
    folder = put(tmp_path / layout, packed=bool(end))
    for name in list(FILES)[:dotted]:
        (folder / f"{name}{end}").rename(folder / f"{name.replace('-idx', '.idx')}{end}")
    check(mnist.load_from(tmp_path, DIGESTS, ()))


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10", "quickdraw"])
def test_the_error_lists_what_was_looked_for_and_where(tmp_path, caches, monkeypatch, refused, closed_port, name):
    """With a root, a root that is none, and, where there is no network, without."""
    first = {"cifar10": "cifar-10-binary.tar.gz", "quickdraw": "apple.npy"}.get(name, f"{FIRST}.gz")
    for root in (tmp_path, tmp_path / "none"):
        none = [f"and {root} is no folder"] if root.name == "none" else []
        with refused(FileNotFoundError, first, *fetch.folders(name, root), *none):
            datasets.load(name, root)
    module = getattr(datasets, name)
    for attribute in {"MIRRORS", "URLS", "URL"} & set(vars(module)):
        monkeypatch.setattr(module, attribute, closed_port if attribute == "URL" else (closed_port,))
    monkeypatch.setenv("MINIPIXEL_DATA", str(tmp_path / "data"))
    with refused(ConnectionError, first, closed_port, *fetch.folders(name, None)):
        datasets.load(name)
    assert len(fetch.folders(name, None)) >= 3


@pytest.mark.parametrize("subfolder", ["", "mnist"])
def test_the_folder_in_the_environment_and_its_subfolder(tmp_path, cache, no_download, monkeypatch, subfolder):
    put(tmp_path / "data" / subfolder)
    monkeypatch.setenv("MINIPIXEL_DATA", str(tmp_path / "data"))
    check(mnist.load_from(None, DIGESTS, ()))


def test_the_cache_comes_last(tmp_path, cache, no_download, monkeypatch):
    put(cache, packed=True)
    check(mnist.load_from(None, DIGESTS, ()))
    monkeypatch.setenv("MINIPIXEL_DATA", str(tmp_path / "holds other sets"))
    check(mnist.load_from(None, DIGESTS, ()))
    monkeypatch.setenv("MINIPIXEL_DATA", "")
    check(mnist.load_from(None, DIGESTS, ()))


def test_root_goes_before_the_environment_and_the_environment_before_the_cache(tmp_path, cache, monkeypatch):
    wrong = idx(np.zeros((1, 4, 4), np.uint8))
    put(tmp_path / "right")
    put(tmp_path / "wrong", content=wrong)
    put(cache, content=wrong)
    monkeypatch.setenv("MINIPIXEL_DATA", str(tmp_path / "right"))
    check(mnist.load_from(None, DIGESTS, ()))
    monkeypatch.setenv("MINIPIXEL_DATA", str(tmp_path / "wrong"))
    check(mnist.load_from(tmp_path / "right", DIGESTS, ()))


def test_a_root_without_the_file_is_an_error_even_if_it_is_elsewhere(
    tmp_path, cache, no_download, monkeypatch, refused
):
    put(cache)
    monkeypatch.setenv("MINIPIXEL_DATA", str(put(tmp_path / "data")))
    root = tmp_path / "empty"
    with refused(FileNotFoundError, f"{FIRST} or {FIRST}.gz", root, root / "mnist", "without root= it is downloaded"):
        mnist.load_from(root, DIGESTS, ())


def test_one_file_of_the_four_missing(tmp_path, cache, no_download, refused):
    root = put(tmp_path / "data")
    (root / "t10k-labels-idx1-ubyte").unlink()
    with refused(FileNotFoundError, "mnist: no t10k-labels.idx1-ubyte or ", " or t10k-labels-idx1-ubyte.gz in ", root):
        mnist.load_from(root, DIGESTS, ())


def test_a_home_folder_may_be_written_as_a_tilde(tmp_path, cache, no_download, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    put(tmp_path / "data")
    check(mnist.load_from("~/data", DIGESTS, ()))


def test_another_file_under_the_right_name(tmp_path, cache, no_download, refused):
    root = put(tmp_path / "data", content=idx(np.zeros((5, 4, 4), np.uint8)))
    with refused(FormatError, root / FIRST, "SHA-256", f"expected {DIGESTS[FIRST]}"):
        mnist.load_from(root, DIGESTS, ())


def test_only_the_real_mnist_passes_for_mnist(tmp_path, cache, no_download, refused):
    root = put(tmp_path / "data")
    with refused(FormatError, root / FIRST, f"expected {mnist.DIGESTS[FIRST]}"):
        datasets.load("mnist", root)


def test_a_download_goes_to_the_cache_and_happens_once(tmp_path, cache, server):
    address, asked = server
    put(tmp_path / "www", packed=True)
    check(mnist.load_from(None, DIGESTS, [address]))
    assert sorted(path.name for path in cache.iterdir()) == sorted(f"{name}.gz" for name in FILES)
    assert len(asked) == 4
    check(mnist.load_from(None, DIGESTS, [address]))
    assert len(asked) == 4


def test_only_missing_files_are_downloaded(tmp_path, cache, server):
    address, asked = server
    put(tmp_path / "www", packed=True)
    put(cache)
    (cache / FIRST).unlink()
    check(mnist.load_from(None, DIGESTS, [address]))
    assert len(asked) == 1


@pytest.mark.parametrize(
    "garbage",
    [b"<html>Log in to this network</html>", idx(np.zeros((5, 4, 4), np.uint8))],
    ids=["page", "other images"],
)
def test_bad_mirrors_are_passed_over(tmp_path, cache, server, closed_port, garbage):
    address, _ = server
    put(tmp_path / "www" / "good", packed=True)
    put(tmp_path / "www" / "bad", packed=True, content=garbage)
    check(mnist.load_from(None, DIGESTS, [closed_port, f"{address}none/", f"{address}bad/", f"{address}good/"]))
    assert sorted(path.name for path in cache.iterdir()) == sorted(f"{name}.gz" for name in FILES)


def test_a_mirror_that_unpacks_what_it_sends(tmp_path, cache, server):
    address, _ = server
    for name, content in FILES.items():
        (tmp_path / "www").mkdir(exist_ok=True)
        (tmp_path / "www" / f"{name}.gz").write_bytes(content)
    check(mnist.load_from(None, DIGESTS, [address]))


def test_a_wrong_download_is_a_format_error_and_leaves_nothing_behind(tmp_path, cache, server, refused):
    address, _ = server
    put(tmp_path / "www", packed=True, content=b"<html></html>")
    with refused(
        FormatError, f"{address}{FIRST}.gz (another file)", "expected the original", f"put in {cache} by hand"
    ):
        mnist.load_from(None, DIGESTS, [address])
    assert list(cache.iterdir()) == []


def test_without_a_network_the_error_says_what_to_put_where(cache, server, closed_port, refused):
    address, _ = server
    url = f"{closed_port}{FIRST}.gz"
    with refused(
        ConnectionError, f"{address}{FIRST}.gz (HTTP 404)", f"{url} (ConnectionError)", f"put in {cache} by hand"
    ):
        mnist.load_from(None, DIGESTS, [address, closed_port])
    assert list(cache.iterdir()) == []


def test_the_mirrors_and_the_cache_folder():
    assert all(mirror.startswith("https://") and mirror.endswith("/") for mirror in mnist.MIRRORS)
    folder = fetch.cache_folder("mnist")
    assert folder.name == "mnist"
    assert "minipixel" in folder.parts


def test_the_real_mnist():
    root = os.environ.get("MINIPIXEL_DATA")
    places = [Path(root), Path(root, "mnist")] if root else []
    if not any((place / f"{FIRST}{end}").is_file() for place in places for end in ("", ".gz")):
        pytest.skip("$MINIPIXEL_DATA holds no MNIST")
    ds = datasets.load("mnist")
    assert str(ds) == "mnist: 54000 train + 6000 validation + 10000 test images, 28x28x1, 256 levels, 10 classes"
    assert ds.train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert ds.test.labels[:5].tolist() == [7, 2, 1, 0, 4]
    learnt = np.concatenate([ds.train.labels, ds.validation.labels])
    assert np.bincount(learnt).min() == 5421 and np.bincount(ds.validation.labels).min() == 559
    total = int(ds.train.images.sum(dtype=np.int64) + ds.validation.images.sum(dtype=np.int64))
    assert abs(total / 255 / 60_000 / 784 - 0.1307) < 1e-4  # the mean every MNIST recipe subtracts
