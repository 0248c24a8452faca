"""Animations: read again, every frame shows what was drawn by then, in the order, and nothing else."""

import io
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

import minipixel as mp
from minipixel import growing, plots, tiles

RNG = np.random.default_rng(0)


def frames(content):
    """All pictures of an animation (frames, height, width, 3), and for how many milliseconds each is shown."""
    with Image.open(io.BytesIO(content)) as file:
        assert file.info["loop"] == 0 and file.is_animated
        first = int(getattr(file, "default_image", False))  # what is shown where nothing moves
        shown, times = [], []
        for n in range(first, file.n_frames):
            file.seek(n)
            shown.append(np.asarray(file.convert("RGB")))
            times.append(file.info["duration"])
    return np.stack(shown), times


def wanted(images, levels, columns):
    """The finished picture, before it is enlarged."""
    return np.rint(plots.mosaic(images, levels, columns=columns) * 255).astype(int)


def softs(picture):
    return (picture[..., None, :] == np.array(growing.UNDRAWN)).all(axis=-1).any(axis=-1)


@pytest.mark.parametrize("format", growing.FORMATS)
@pytest.mark.parametrize(
    ("shape", "levels", "columns"),
    [((3, 4, 5, 1), 2, 2), ((2, 8, 8, 1), 17, 10), ((5, 3, 3, 3), 4, 3), ((2, 8, 8, 4), 3, 1), ((2, 1, 1, 1), 2, 2)],
)
def test_every_frame_shows_what_is_drawn_by_then(format, shape, levels, columns):
    images = RNG.integers(0, levels, shape)
    order = RNG.permutation(np.prod(shape[1:])).reshape(shape[1:])
    shown, times = frames(mp.plots.growing(images, levels, order=order, columns=columns, scale=2, format=format))
    assert (shown == shown[:, ::2, ::2].repeat(2, 1).repeat(2, 2)).all()  # each pixel is a square
    shown, final = shown[:, ::2, ::2], wanted(images, levels, min(columns, len(images)))
    assert (shown[-1] == final).all() and len(times) == len(shown) == shape[1] * shape[2] + 1
    assert times[-1] == growing.HOLD and set(times[:-1]) == {round(400 / (len(shown) - 1)) * 10}
    place = order.max(axis=2)  # a pixel is there once its last channel is
    ranks = place.ravel().argsort().argsort().reshape(place.shape)
    ranks = tiles.side_by_side(np.broadcast_to(ranks[None, ..., None], (*shape[:3], 1)), min(columns, len(images)), -1)
    for step, frame in enumerate(shown):
        drawn, following = ranks[..., 0] < step, ranks[..., 0] == step
        assert (frame[drawn] == final[drawn]).all() and (frame[following] == growing.NEXT).all()
        assert softs(frame)[~drawn & ~following].all()
    assert not softs(final).any()  # no colour of these images is one of those


def test_the_order_is_raster_order_unless_it_is_said():
    images = RNG.integers(0, 3, (2, 3, 4, 3))
    raster = np.arange(36).reshape(3, 4, 3)
    assert (
        plots.growing(images, 3) == plots.growing(images, 3, order=raster) == plots.growing(images, 3, order=raster * 7)
    )
    of_several = mp.models.MultiScale((4, 4, 1), 2, base="row-lstm", hidden=2, layers=1, factor=2).order
    shown, _ = frames(plots.growing(np.ones((1, 4, 4, 1), int), 2, order=of_several, scale=1))
    white = (shown == 255).all(axis=-1)
    assert (
        len(white) == 17 and (np.argwhere(white[4])[:, :] % 2 == 0).all() and white.sum((1, 2)).tolist() == [*range(17)]
    )


@pytest.mark.parametrize("C", [2, 5])
def test_channels_that_are_no_colours_come_one_by_one(C):
    images = np.full((2, 2, 3, C), 1)
    shown, _ = frames(plots.growing(images, 2, scale=1))
    assert len(shown) == 6 * C + 1 and shown.shape[1:] == wanted(images, 2, 2).shape
    assert (shown == 255).all(axis=-1).sum(axis=(1, 2)).tolist() == [2 * n for n in range(6 * C + 1)]


def test_grey_stays_grey_and_nothing_flickers():
    """All 256 greys in a GIF, which has room for fewer; a pixel that is drawn never changes again."""
    images = RNG.permutation(np.arange(512) % 256).reshape(2, 16, 16, 1)
    content = plots.growing(images, 256, columns=1, scale=1, seconds=1)
    shown, times = frames(content)
    assert (shown[-1] == shown[-1][..., :1]).all() and np.abs(shown[-1] - wanted(images, 256, 1)).max() <= 2
    assert len(shown) == 26 and set(times[:-1]) == {40}  # no step is shorter than that
    for before, after in pairwise(shown):
        there = ~softs(before) & (before != growing.NEXT).any(axis=-1)
        assert (before[there] == after[there]).all()
    exact, _ = frames(plots.growing(images, 256, columns=1, format="png"))
    assert (exact[-1][::14, ::14] == wanted(images, 256, 1)[: -(-exact.shape[1] // 14)]).all()


def test_many_colours_come_close():
    images = RNG.integers(0, 8, (10, 6, 6, 3)) * 32
    shown, _ = frames(plots.growing(images, 256, scale=1))
    assert 0 < np.abs(shown[-1] - wanted(images, 256, 10)).max() <= 32
    exact, _ = frames(plots.growing(images, 256, scale=1, format="png"))
    assert (exact[-1] == wanted(images, 256, 10)).all()


def test_what_is_not_drawn_yet_looks_like_no_level():
    """Another soft colour is taken where the images have colours like the first."""
    blue = np.broadcast_to(growing.UNDRAWN[0], (2, 4, 4, 3))
    first = frames(plots.growing(blue, 256, scale=1))[0][0, 3, 3]
    assert tuple(first) in growing.UNDRAWN[1:]
    assert tuple(frames(plots.growing(blue // 200, 2, scale=1))[0][0, 3, 3]) in growing.UNDRAWN
    assert tuple(frames(plots.growing(blue[..., :1], 256, scale=1))[0][0, 3, 3]) == growing.UNDRAWN[0]


def test_small_files_of_a_comfortable_size():
    """30 digits of 28x28, noisier than any: as wide as fits, at most 100 steps, under 1 MB."""
    images = RNG.binomial(255, 0.2, (30, 28, 28, 1)) * RNG.integers(0, 2, (30, 28, 28, 1))
    content = plots.growing(images, 256)
    shown, _ = frames(content)
    assert len(content) < 1_000_000 and shown.shape[:3] == (101, 2 * 88, 2 * 298)
    assert frames(plots.growing(images[:1], 256))[0].shape[1:3] == (476, 476)
    with Image.open(io.BytesIO(plots.growing(images[:4], 256, format="png"))) as file:
        still = np.asarray(file.convert("RGB"))[::5, ::5]  # what a program shows that knows no animated PNG
    assert (still == wanted(images[:4], 256, 4)).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"images": np.zeros((4, 4, 1), int)},
            "images: got shape (4, 4, 1), wanted (N, H, W, C) with N >= 1; add a chan",
        ),
        ({"images": np.full((1, 4, 4, 1), 2)}, "images: got int64 in 2..2, wanted whole numbers in 0..1"),
        ({"levels": 1}, "levels: got 1, wanted a whole number in 2..65536"),
        (
            {"order": np.zeros((4, 4), int)},
            "order: got int64 of shape (4, 4), wanted integers of shape (4, 4, 1): model",
        ),
        ({"order": np.zeros((4, 4, 1))}, "order: got float64 of shape"),
        ({"columns": 0}, "columns: got 0"),
        ({"scale": 0}, "scale: got 0"),
        ({"scale": 2000}, "images: got 1, 1 abreast, which are 8000x8000 pixels, wanted at most 2,097,152 pixels"),
        ({"seconds": 0}, "seconds: got 0, wanted a number above 0"),
        ({"seconds": "4"}, "seconds: got '4'"),
        ({"format": "jpg"}, "format: got 'jpg', wanted one of 'gif', 'png'"),
    ],
)
def test_mistakes(options, message):
    given = {"images": np.zeros((1, 4, 4, 1), int), "levels": 2} | options
    with pytest.raises(ValueError) as error:
        plots.growing(**given)
    assert str(error.value).startswith(message) and "\n" not in str(error.value)
