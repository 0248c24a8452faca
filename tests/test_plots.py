"""Figures: made without pyplot, with the right pictures in the right places."""

import copy
import pickle
import sys

import numpy as np
import pytest
from matplotlib.colors import to_rgb

import minipixel as mp
from minipixel import plots, tiles
from minipixel.nn import causal_mask, colour_groups


def saved(figure, tmp_path):
    """The Figure, once it has been a file, and what a notebook asks for to show it."""
    figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 1000
    shown = figure._repr_png_()
    assert shown.startswith(b"\x89PNG") and len(shown) > 1000
    return figure


def test_real_above_generated(tmp_path):
    real, generated = np.full((12, 4, 4, 1), 3, np.uint8), np.zeros((7, 4, 4, 1), np.uint8)
    figure = saved(plots.sample_grid(real, generated, 4, columns=5), tmp_path)
    top, below = figure.axes
    assert (top.get_ylabel(), below.get_ylabel()) == ("real", "generated")
    picture = top.images[0].get_array()
    assert picture.shape == (4, 5 * 4 + 4, 3) and np.isin(picture, [0.85, 1]).all()  # one row of five, all white
    assert below.images[0].get_array().shape == (2 * 4 + 1, 5 * 4 + 4, 3)
    assert (below.images[0].get_array()[:4, :4] == 0).all()


def test_known_above_completed_above_real(tmp_path):
    images, known = np.full((3, 4, 4, 1), 3, np.uint8), np.indices((4, 4))[0] < 2
    completed = np.zeros((2, 3, 4, 4, 1), np.uint8)
    axes = saved(plots.completion_grid(images, known, completed, 4), tmp_path).axes
    assert [ax.get_ylabel() for ax in axes] == ["known", "completed", "real"]
    given, drawn, real = (np.asarray(ax.images[0].get_array()) for ax in axes)
    assert (given[:2, :4] == 1).all() and (given[2:, :4] != 1).any(axis=-1).all() and len(np.unique(given[2:, :4])) == 3
    assert drawn.shape == (2 * 4 + 1, 3 * 4 + 2, 3) and (drawn[:4, :4] == 0).all() and (real[:4, :4] == 1).all()


def test_alpha_lets_a_chequerboard_through():
    images = np.zeros((1, 8, 8, 4), np.uint8)
    images[..., 0] = 255
    images[:, :, :4, 3] = 255
    picture = plots.mosaic(images, 256, columns=1)
    assert picture.shape == (8, 8, 3)
    assert (picture[:, :4] == [1, 0, 0]).all() and set(np.unique(picture[:, 4:])) == set(tiles.CHEQUERED)


@pytest.mark.parametrize(("C", "group"), [(2, (1, 2)), (5, (2, 3)), (17, (4, 5)), (64, (8, 8))])
def test_channels_that_are_no_colours_stand_side_by_side(C, group, tmp_path):
    """In grey, row by row, with what was known of each; fewer images are abreast."""
    H, W, (down, across) = 3, 4, group
    images = np.zeros((7, H, W, C), np.uint8)
    images[..., 1] = 100
    images[2] = 100
    figure = saved(plots.sample_grid(images, images[::-1], 101, columns=4), tmp_path)
    picture = plots.mosaic(images[1:3], 101)
    h, w = down * (H + 1) + 1, across * (W + 1) + 1
    gap = max(1, h // 12)
    assert picture.shape[0] == h and picture.shape[1] == tiles.abreast(10, C) * (w + gap) - gap
    for channel in range(C):
        r, c = channel // across * (H + 1) + 1, channel % across * (W + 1) + 1
        assert (picture[r : r + H, c : c + W] == (channel == 1)).all()
        assert (picture[r : r + H, w + gap + c : w + gap + c + W] == 1).all()
    assert np.isin(picture, [0, 1, tiles.BETWEEN]).all()
    abreast = tiles.abreast(4, C)
    assert figure.axes[0].images[0].get_array().shape[1] == abreast * (w + gap) - gap and abreast < 4

    known = np.indices((H, W))[0] < 1
    axes = saved(plots.completion_grid(images[:2], known, images[None, :2], 101), tmp_path).axes
    given = np.asarray(axes[0].images[0].get_array())
    assert (given[1, 1 : 1 + W] == 0).all() and (given[2:4, 1 : 1 + W] == given[2, 1]).all() and given[2, 1, 2] != 0
    (lines,) = axes[1].collections
    assert len(lines.get_segments()) == W * C * min(2, tiles.abreast(10, C))


def test_completions_ten_abreast_with_a_line_where_drawing_began(tmp_path):
    images, known = np.full((12, 4, 6, 1), 3, np.uint8), np.zeros((12, 4, 6), bool)
    known[:, :2] = True
    known[11, 2, 0] = True  # a step in the last one's line
    completed = np.zeros((3, 12, 4, 6, 1), np.uint8)
    axes = saved(plots.completion_grid(images, known, completed, 4), tmp_path).axes
    assert [ax.get_ylabel() for ax in axes] == ["known", "completed", "real"] * 2
    assert axes[1].images[0].get_array().shape == (3 * 5 - 1, 10 * 7 - 1, 3)
    below = np.asarray(axes[4].images[0].get_array())
    assert below.shape == (3 * 5 - 1, 10 * 7 - 1, 3) and (below[:, 13:] == 0.85).all()  # two in each row
    (above,), (lines,) = axes[1].collections, axes[4].collections
    assert len(above.get_segments()) == 3 * 10 * 6 and {1.5, 6.5, 11.5} == {
        y for s in above.get_segments() for _, y in s
    }
    assert len(lines.get_segments()) == 3 * (2 * 6 + 1) and not axes[0].collections and not axes[2].collections
    ends = [segment.tolist() for segment in lines.get_segments()]
    assert (
        [[7.5, 1.5], [7.5, 2.5]] in ends and [[6.5, 2.5], [7.5, 2.5]] in ends and [[6.5, 1.5], [7.5, 1.5]] not in ends
    )


def test_a_clock(tmp_path):
    """Steps in the cells, on one scale; nothing where it is never; a frame where it is too late."""
    maps = {"first": np.array([[0, 1, 2], [3, -1, 9]]), "wider": np.arange(8).reshape(2, 4)}
    figure = saved(plots.clock(maps, {"first": np.array([[0, 0, 2], [3, 4, 5]])}), tmp_path)
    first, wider, scale = figure.axes
    assert (first.get_title(), wider.get_title(), scale.get_ylabel()) == ("first", "wider", "step")
    assert [text.get_text() for text in first.texts] == ["0", "1", "2", "3", "9"]
    assert [patch.get_xy() for patch in first.patches] == [(1.08, 0.08), (2.08, 1.08)] and not wider.patches
    assert {patch.get_edgecolor()[:3] for patch in first.patches} == {to_rgb(plots.LEAKED)}
    assert (first.get_ylabel(), first.get_xlabel(), wider.get_xlabel()) == ("row r", "column c", "column c")
    meshes = [ax.collections[0] for ax in (first, wider)]
    assert [mesh.get_clim() for mesh in meshes] == [(0, 9), (0, 9)]
    shades = meshes[0].to_rgba(meshes[0].get_array())
    assert shades[0, 0].tolist() == [1, 1, 1, 1] and shades[0, 0].sum() > shades[1, 0].sum() > shades[1, 2].sum()
    saved(plots.clock({"nothing yet": np.zeros((1, 1), int)}), tmp_path)


@pytest.mark.parametrize("shape", [(3, 5, 2, 1), (3, 2, 7, 3), (1, 1, 1, 1)])
def test_colours_and_odd_sizes(shape, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    figure = saved(plots.image_grid(images, 256, columns=2, title="some"), tmp_path)
    _, H, W, _ = shape
    np.testing.assert_allclose(
        figure.axes[0].images[0].get_array()[:H, :W], np.broadcast_to(images[0] / 255, (H, W, 3))
    )


def test_loss_curve(tmp_path):
    """The best epoch has a dot; the learning rate has a panel of its own, if it changed."""
    history = {"bits_per_dim": [3.0, 2.0, 1.5], "val_bits_per_dim": [2.5, 2.1, 2.2], "learning_rate": [0.1] * 3}
    (axes,) = saved(plots.loss_curve(history), tmp_path).axes
    assert [line.get_label() for line in axes.lines] == ["training", "validation", "best: 2.100, epoch 2"]
    np.testing.assert_array_equal(axes.lines[1].get_ydata(), [2.5, 2.1, 2.2])
    assert axes.lines[2].get_xydata().tolist() == [[2, 2.1]] and axes.get_xlabel() == "epoch"
    bits, rates = saved(plots.loss_curve(history | {"learning_rate": [0.1, 0.1, 0.05]}), tmp_path).axes
    assert rates.lines[0].get_ydata().tolist() == [0.1, 0.1, 0.05] and not bits.get_xlabel()
    assert (rates.get_ylabel(), rates.get_xlabel()) == ("learning rate", "epoch")
    unhappy = {"bits_per_dim": [3.0, np.nan], "val_bits_per_dim": [np.nan, np.nan]}
    assert len(saved(plots.loss_curve(unhappy), tmp_path).axes[0].lines) == 2
    saved(plots.loss_curve({"bits_per_dim": [1.0]}), tmp_path)


def test_a_mask(tmp_path):
    one = colour_groups(1, 1)
    (axes,) = saved(plots.mask(causal_mask((7, 7), one, one, "A"), title="mask A"), tmp_path).axes
    assert axes.collections[0].get_array().sum() == 24
    saved(plots.mask(np.eye(3, dtype=bool)), tmp_path)


def test_history_plots_itself(tmp_path):
    history = mp.History()
    history.append({"loss": 2.0, "bits_per_dim": 1.0})
    saved(history.plot(), tmp_path)


def test_a_copy_shows_itself_and_not_the_original():
    figure = plots.mask(np.eye(3, dtype=bool))
    for twin in (copy.deepcopy(figure), pickle.loads(pickle.dumps(figure))):
        twin.clear()
        assert len(twin._repr_png_()) < len(figure._repr_png_())


def test_pyplot_is_not_touched():
    assert "matplotlib.pyplot" not in sys.modules
