import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minipixel import datasets
from minipixel.datasets import Dataset, Split, bundled


@pytest.mark.parametrize(
    ("name", "counts", "shape", "levels", "classes"),
    [("digits", (1295, 143, 359), (8, 8, 1), 17, 10), ("emoji", (1373, 152, 381), (16, 16, 3), 256, 9)],
)
def test_a_bundled_set(name, counts, shape, levels, classes):
    ds = datasets.load(name)
    assert ds.name == name
    assert ds.image_shape == shape
    assert ds.levels == levels
    assert len(ds.classes) == len(set(ds.classes)) == classes
    for split, count in zip((ds.train, ds.validation, ds.test), counts, strict=True):
        assert split.images.shape == (count, *shape)
        assert split.images.dtype == np.uint8
        assert split.images.min() == 0
        assert split.images.max() == levels - 1
        assert split.labels.shape == (count,)
        assert split.labels.dtype == np.int64
        assert set(split.labels.tolist()) == set(range(classes))


@pytest.mark.parametrize("name", ["digits", "emoji"])
def test_every_fifth_image_is_for_the_test_every_tenth_other_to_validate_on_and_none_is_lost(name):
    ds = datasets.load(name)
    with np.load(bundled.DATA / ("digits8.npz" if name == "digits" else "emoji16.npz")) as file:
        images, labels = file["images"], file["labels"]
    others = np.flatnonzero(np.arange(len(images)) % 5 != 4)
    train = np.arange(len(others)) % 10 != 9
    for split, places in ((ds.test, slice(4, None, 5)), (ds.validation, others[9::10]), (ds.train, others[train])):
        assert np.array_equal(split.images, images[places]) and np.array_equal(split.labels, labels[places])


@pytest.mark.parametrize(("name", "shared"), [("digits", (0, 0, 0)), ("emoji", (4, 2, 0))])
def test_how_many_images_are_in_two_splits(name, shared):
    """Of the test in training, of the test in validation, of validation in training."""
    ds = datasets.load(name)
    train, validation = ({image.tobytes() for image in split.images} for split in (ds.train, ds.validation))
    pairs = ((ds.test, train), (ds.test, validation), (ds.validation, train))
    assert tuple(sum(image.tobytes() in seen for image in split.images) for split, seen in pairs) == shared


def test_class_names():
    assert datasets.load("digits").classes == tuple("0123456789")
    emoji = datasets.load("emoji").classes
    assert emoji[0] == "Smileys & Emotion"
    assert emoji[-1] == "Flags"
    assert all(type(name) is str for name in emoji)


def test_arrays_are_fresh_and_writable():
    first = datasets.load("digits")
    first.train.images[:] = 3
    first.train.labels[:] = 3
    second = datasets.load("digits")
    assert second.train.images.max() == 16
    assert set(second.train.labels.tolist()) == set(range(10))


def test_a_dataset_prints_as_one_short_line():
    ds = datasets.load("digits")
    assert str(ds) == "digits: 1295 train + 143 validation + 359 test images, 8x8x1, 17 levels, 10 classes"
    assert repr(ds) == f"Dataset({ds})"
    assert str(ds.test) == "359 images, 8x8x1" and repr(ds.test) == "Split(359 images, 8x8x1)"


def test_a_dataset_is_frozen_and_compares_by_identity():
    ds = datasets.load("digits")
    with pytest.raises(AttributeError):
        ds.levels = 2
    assert ds == ds
    assert ds != datasets.load("digits")
    assert len({ds, ds.train}) == 2


def test_the_public_names():
    assert isinstance(datasets.load("digits"), Dataset)
    assert isinstance(datasets.load("digits").train, Split)
    assert sorted(datasets.DATASETS) == ["cifar10", "digits", "emoji", "fashion_mnist", "mnist", "quickdraw"]
    for name in datasets.__all__:
        assert hasattr(datasets, name)


@pytest.mark.parametrize(
    ("name", "meant"),
    [("digit", "digits"), ("MNIST", "mnist"), ("emojis", "emoji"), ("CIFAR10", "cifar10")],
)
def test_an_unknown_name_gets_a_hint(refused, name, meant):
    known = "wanted one of 'digits', 'emoji', 'mnist', 'fashion_mnist', 'cifar10', 'quickdraw'"
    with refused(ValueError, "load", repr(name), known, f"did you mean {meant!r}?"):
        datasets.load(name)


@pytest.mark.parametrize("name", ["imagenet-22k", "", None, 3])
def test_an_unknown_name_like_no_other_gets_none(refused, name):
    with refused(ValueError, "load", repr(name), "wanted one of 'digits', 'emoji', 'mnist', "):
        datasets.load(name)


@pytest.mark.parametrize(("file", "words"), [("digits8", ["Alpaydin", "Kaynak", "UCI"]), ("emoji16", ["Google"])])
def test_each_bundled_file_has_its_licence_beside_it(file, words):
    text = (bundled.DATA / f"LICENSE-{file}.txt").read_text()
    licence = "https://creativecommons.org/licenses/by/4.0/" if file == "digits8" else "Apache License"
    for word in [f"{file}.npz", licence, "Changes:", *words]:
        assert word in text
    assert (bundled.DATA / f"{file}.npz").is_file()


def test_loading_a_bundled_set_imports_nothing_heavy():
    program = (
        "import sys; from minipixel import datasets; datasets.load('digits');"
        "print([m for m in ('scipy', 'matplotlib', 'pooch', 'requests', 'numba') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_option_that_a_set_does_not_have(refused):
    with refused(ValueError, "load: 'digits' takes no option 'classes', wanted none"):
        datasets.load("digits", classes=("3",))
    with refused(TypeError, "load: got an unknown argument 'kinds', wanted one of name, root, classes, per_class"):
        datasets.load("quickdraw", kinds=("cat",))


@pytest.mark.parametrize("name", ["digits", "emoji"])
@pytest.mark.parametrize("root", ["my-pictures", "", Path()])
def test_a_bundled_set_takes_no_root(refused, name, root):
    """Somebody who names a folder means the pictures in it."""
    with refused(ValueError, f"root: got {str(root)!r} for {name}, wanted none", "bundled", "read_png"):
        datasets.load(name, root)


def test_a_bundled_set_is_found_whatever_the_environment_says(monkeypatch):
    monkeypatch.setenv("MINIPIXEL_DATA", "nowhere")
    assert len(datasets.load("digits").train.images) == 1295
