"""`minipixel sample`: pictures abreast, growing, in a folder, beside what was learnt from; and after Ctrl-C."""

import io

import numpy as np
import pytest
from PIL import Image

import minipixel as mp
from minipixel.cli import main, sample
from minipixel.errors import InterruptedDrawing

SHAPE, LEVELS = (4, 4, 1), 3


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with a model of three classes, and images that it may have learnt from."""
    monkeypatch.chdir(tmp_path)
    model = mp.models.MultiScale(SHAPE, LEVELS, base="row-lstm", hidden=2, layers=1, factor=2, num_classes=3)
    model.pictures = {"levels": LEVELS, "classes": ["two words", "a/b", "möwe"]}
    model.save("model")
    images = np.random.default_rng(0).integers(0, LEVELS, (60, *SHAPE)).astype(np.uint8)
    np.savez("data.npz", images=images, labels=np.arange(60) % 3)
    return tmp_path


def drawn(n, seed=0):
    return mp.load("model").sample(n, np.arange(n) % 3, rng=seed)


def known():
    """What it may have learnt from, as a set."""
    return mp.datasets.from_arrays(np.load("data.npz")["images"], np.arange(60) % 3, levels=LEVELS)


def finished(file, columns, n=7):
    """Whether the last frame of an animation is a mosaic of what is drawn."""
    with Image.open(file) as animation:
        animation.seek(animation.n_frames - 1)
        last = np.asarray(animation.convert("RGB"))
    mosaic = np.rint(mp.plots.mosaic(drawn(n), LEVELS, columns=columns) * 255)
    scale = last.shape[0] // mosaic.shape[0]
    return np.array_equal(last[::scale, ::scale], mosaic)


def test_all_at_once(here, capsys):
    command = ["sample", "model", "-n", "7", "--grid", "3", "--animate", "g.gif", "--nearest", "near.png"]
    assert main([*command, "--data", "data.npz", "--out", "drawn/"]) == 0
    said = capsys.readouterr()
    assert (
        not said.err
        and "7 images in drawn" in said.out
        and "g.gif" in said.out
        and f"{len(known().train.images)}, in near.png" in said.out
    )
    assert "copies    to the bit: 0 of 7 drawn images, 0 of " in said.out
    assert {path.name for path in here.iterdir()} == {"model", "data.npz", "drawn", "g.gif", "near.png"}
    names = [f"{n:05}-{('two-words', 'a-b', 'möwe')[n % 3]}.png" for n in range(7)]
    assert sorted(path.name for path in (here / "drawn").iterdir()) == names
    for name, image in zip(names, drawn(7), strict=True):
        assert np.array_equal(mp.datasets.read_picture(here / "drawn" / name) // 86, image)
    assert finished("g.gif", 3) and (here / "near.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("kind", ["gif", "png"])
def test_it_grows_in_the_order_of_the_model(here, kind):
    """Of several scales: first the small image, each pixel of it beside three that are not there yet."""
    assert main(["sample", "model", "-n", "1", "--animate", f"g.{kind}"]) == 0
    with Image.open(f"g.{kind}") as animation:
        animation.seek(4 + bool(getattr(animation, "default_image", False)))
        frame = np.asarray(animation.convert("RGB"))[::120, ::120].astype(int)
    grey = frame.max(axis=-1) == frame.min(axis=-1)
    assert grey.shape == (4, 4) and grey.sum() == 4 and grey[::2, ::2].all()
    assert finished(f"g.{kind}", 1, 1)


def test_a_grid(here, monkeypatch):
    columns = []
    grid = mp.plots.image_grid
    monkeypatch.setattr(
        mp.plots, "image_grid", lambda images, levels, **given: columns.append(given["columns"]) or grid(images, levels)
    )
    for options in (["-n", "3"], ["-n", "12"], ["-n", "12", "--grid", "4"], ["-n", "12", "--grid", "40"]):
        assert main(["sample", "model", *options]) == 0
    assert columns == [3, 10, 4, 12]


def test_many_abreast_are_not_made_smaller_than_they_are():
    figure = mp.plots.image_grid(np.zeros((64, 32, 32, 1), int), 2, columns=64)
    with Image.open(io.BytesIO(mp.plots.png(figure))) as picture:
        assert picture.width >= 64 * 34


def test_its_size_is_known_before():
    for shape, columns in (((20, 4, 4, 1), 3), ((3, 8, 8, 3), 10), ((64, 32, 32, 1), 64), ((4, 3, 5, 7), 4)):
        columns = min(columns, shape[0])
        content = mp.plots.png(mp.plots.image_grid(np.zeros(shape, int), 2, columns=columns))
        with Image.open(io.BytesIO(content)) as picture:
            assert np.abs(np.subtract(mp.plots.size_of_grid(shape, columns=columns), picture.size[::-1])).max() <= 1


def test_copies_are_found(here, capsys, monkeypatch):
    """A model that draws training images alone; it is told from one that does not."""
    images = np.load("data.npz")["images"]
    monkeypatch.setattr(mp.models.MultiScale, "sample", lambda model, n, *given, **options: images[:n])
    assert main(["sample", "model", "-n", "3", "--nearest", "near.png", "--data", "data.npz"]) == 0
    copies, distance = capsys.readouterr().out.splitlines()[-2:]
    ds = known()
    same = (images[:3, None] == ds.train.images[None]).all(axis=(2, 3, 4)).any(axis=1).sum()
    assert (
        same > 0
        and f"to the bit: {same} of 3 drawn images, 0 of {len(ds.validation.images)} validation images" in copies
    )
    far = (
        mp.datasets.nearest(images[:3], ds.train.images, LEVELS)[1],
        mp.datasets.nearest(ds.validation.images, ds.train.images, LEVELS)[1],
    )
    assert "median: {:.4f} drawn, {:.4f} validation".format(*map(np.median, far)) in distance


def test_of_many_those_are_shown_that_look_most_like_copies(here, capsys, monkeypatch):
    given = []
    grid = mp.plots.nearest_grid
    monkeypatch.setattr(sample, "MOST_SHOWN", 4)
    monkeypatch.setattr(mp.plots, "nearest_grid", lambda *a, **k: given.append(a) or grid(*a, **k))
    assert main(["sample", "model", "-n", "9", "--nearest", "near.png", "--data", "data.npz"]) == 0
    assert "below the 4 of them nearest to any the nearest training images" in capsys.readouterr().out
    train = known().train.images
    indices, far = mp.datasets.nearest(drawn(9), train, LEVELS, count=2)
    ((images, nearest, _),) = given
    shown = np.sort(np.argsort(far[:, 0], kind="stable")[:4])
    assert np.array_equal(images, drawn(9)[shown]) and np.array_equal(nearest, train[indices[shown]])


def test_each_stands_above_its_nearest():
    drawn = np.full((3, 4, 4, 1), 2)
    nearest = np.stack([np.full((3, 4, 4, 1), 1), np.zeros((3, 4, 4, 1), int)], axis=1)
    first, second = mp.plots.nearest_grid(drawn, nearest, 3, columns=2).axes
    for ax, across in ((first, 9), (second, 4)):
        assert [label.get_text() for label in ax.get_yticklabels()] == ["drawn", "nearest", "next"]
        picture = np.asarray(ax.images[0].get_array())
        assert picture.shape == (14, 9, 3)
        for row, shade in ((0, 1), (5, 0.5), (10, 0)):
            assert (picture[row : row + 4, : min(4, across)] == shade).all()
            assert (picture[row : row + 4, 5:] == (shade if across == 9 else 0.85)).all()


def test_as_the_model_remembers(here, capsys):
    """Of the digits, binarised as those that it learnt from: what it draws is compared with images of two levels."""
    model = mp.models.PixelCNN((8, 8, 1), 2, hidden=2, blocks=1)
    model.pictures = {"levels": 17, "classes": [str(n) for n in range(10)], "binarize": "threshold"}
    model.save("two")
    assert main(["sample", "two", "-n", "4", "--nearest", "near.png", "--data", "digits"]) == 0
    ds = mp.datasets.load("digits")
    train, validation = (mp.datasets.binarize(s.images, 17, "threshold") for s in (ds.train, ds.validation))
    far = [np.median(mp.datasets.nearest(images, train, 2)[1]) for images in (model.sample(4, rng=0), validation)]
    assert "median: {:.4f} drawn, {:.4f} validation".format(*far) in capsys.readouterr().out


def test_after_ctrl_c(here, capsys, monkeypatch):
    """Everything is made of the images that are drawn by then, and the exit status says so."""

    def interrupted(model, n, *given, **options):
        raise InterruptedDrawing([images])

    images = drawn(7)
    monkeypatch.setattr(mp.models.MultiScale, "sample", interrupted)
    command = ["sample", "model", "-n", "90", "--animate", "g.gif", "--nearest", "near.png", "--data", "data.npz"]
    assert main([*command, "--out", "some.npy"]) == 130
    said = capsys.readouterr()
    assert said.err == "minipixel: interrupted: the first 7 of 90 images are in some.npy\n"
    assert "of 7 drawn images" in said.out
    monkeypatch.undo()
    monkeypatch.chdir(here)
    assert np.array_equal(np.load("some.npy"), images) and finished("g.gif", 7)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--grid", "0"], "--grid: got 0, wanted a whole number in 1..65536"),
        (["--animate", "g.jpg"], "--animate: got g.jpg, wanted a name ending in .gif (an animation) or .png"),
        (["--animate", ""], "--animate: got , wanted a name ending in"),
        (["--animate", "no/g.gif"], "no/g.gif: No such file or directory"),
        (["--nearest", "near.gif"], "--nearest: got near.gif, wanted a name ending in .png"),
        (["--animate", "samples.png"], "--animate: got samples.png, which --out writes, wanted another name"),
        (["--animate", "a.png", "--nearest", "./a.png"], "--nearest: got a.png, which --animate writes"),
        (
            ["-n", "999999"],
            "-n: got 999999, which are a picture of 8081643x876 pixels, wanted fewer than 65536 on a side",
        ),
        (
            ["-n", "999999", "--animate", "g.gif", "--out", "a.npy"],
            "images: got 999999, 10 abreast, which are 499999x49 pixels, wanted",
        ),
        (["--nearest", "n.png", "--data", "digits"], "--data: got digits, whose images are 8x8x1, wanted"),
        (["--nearest", "n.png", "--data", "none"], "--data: got 'none', wanted one of digits"),
    ],
)
def test_mistakes(here, capsys, monkeypatch, options, message):
    """One line, before anything is drawn."""
    monkeypatch.setattr(mp.models.MultiScale, "sample", None)
    before = set(here.iterdir())
    assert main(["sample", "model", *options]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"minipixel: error: {message}") and said.count("\n") == 1 and set(here.iterdir()) == before


def test_too_few_levels(here, capsys):
    mp.models.PixelCNN((8, 8, 1), 40, hidden=2, blocks=1).save("more")
    assert main(["sample", "more", "--nearest", "near.png", "--data", "digits"]) == 2
    assert "--data: got digits, whose images have 17 levels, wanted at least 40, as more has" in capsys.readouterr().err
