"""Gated PixelCNN: the whole past, and the mistakes that others have made with two stacks."""

import numpy as np
import pytest

import minipixel as mp
from minipixel import nn, ops
from minipixel.tensor import gradients

GREY, RGB = (4, 5, 1), (3, 3, 3)


def gated(shape=GREY, filters=6, layers=3, **options):
    return mp.models.GatedPixelCNN(shape, 2, filters=filters, layers=layers, dtype="float64", **options)


def randomised(model):
    """The model with random numbers in all weights, so that nothing hides behind a zero that a mask once left."""
    rng = np.random.default_rng(0)
    model.load_state_dict({name: rng.normal(0, 0.5, w.shape) for name, w in model.state_dict().items()})
    return model


# --- masks ----------------------------------------------------------------------------------------------------------


def test_vertical_mask_row_by_row():
    a, b = (nn.vertical_mask((3, 5), 2, 4, kind) for kind in "AB")
    assert a.shape == b.shape == (3, 5, 2, 4)
    np.testing.assert_array_equal(a.all(axis=(1, 2, 3)), [True, False, False])
    np.testing.assert_array_equal(b.all(axis=(1, 2, 3)), [True, True, False])
    assert not a[1:].any() and not b[2:].any()
    with pytest.raises(ValueError, match=r"^mask: got kind 'C', wanted 'A' .* or 'B'"):
        nn.vertical_mask((3, 3), 1, 1, "C")


def test_the_first_two_masks_together_are_mask_a():
    """Vertical 7x7 and horizontal 1x7 open between them the taps of PixelCNN's first layer, each just once."""
    first = gated().layers[0]
    both = first.vertical.mask[:, :, 0, 0].astype(int)
    both[3] += first.horizontal.mask[0, :, 0, 0]
    np.testing.assert_array_equal(both, nn.causal_mask((7, 7), np.zeros(1), np.zeros(1), "A")[:, :, 0, 0])


# --- the whole past -------------------------------------------------------------------------------------------------


def test_six_layers_see_all_of_nine_rows():
    """Three rows up, then one per layer: 3 + 5 reaches row 0 from row 8. A PixelCNN of as many layers stays blind."""
    report = mp.check_causality(gated((9, 8, 1), filters=8, layers=6))
    assert report.ok and len(report.blind) == 0, str(report)
    shallower = mp.check_causality(gated((9, 8, 1), filters=8, layers=5)).blind
    assert {(output[0], read[0]) for output, read in shallower} == {(8, 0)}  # and just that row is out of reach
    plain = mp.check_causality(mp.models.PixelCNN((9, 8, 1), 2, hidden=8, blocks=5))
    assert plain.ok and len(plain.blind) > 100
    deep = mp.check_causality(mp.models.PixelCNN((9, 8, 1), 2, hidden=8, blocks=12))
    assert len(deep.blind) > 100  # depth is not what it lacks


def test_the_whole_past_in_colour():
    report = mp.check_causality(gated((4, 6, 3), filters=24, layers=4), images=6)
    assert report.ok and len(report.blind) == 0, str(report)


def test_dilations_reach_further():
    """7x7, then 3x3 with taps 1, 2, 1 and 4 apart: 3 + 8 rows up, where 3 + 4 are had without."""
    last = [15 * 3 + 1]
    for dilations, rows in (((1, 2, 1, 4), 11), ((1,), 7)):
        model = gated((16, 3, 1), filters=8, layers=5, dilations=dilations)
        seen = mp.causality.dependencies(model, outputs=last).reshape(16, 3)
        np.testing.assert_array_equal(seen[:15].all(axis=1), np.arange(15) >= 15 - rows)
        assert not seen[: 15 - rows].any()
        mp.assert_causal(randomised(model), images=1)
    assert [layer.vertical.dilation for layer in gated(layers=6, dilations=(1, 2)).layers] == [1, 1, 2, 1, 2, 1]


# --- mistakes, planted ----------------------------------------------------------------------------------------------


@mp.op
def shifted(x):
    """Rows move down by one, and zeros enter at the top."""

    def move(rows):
        return np.concatenate([np.zeros_like(rows[:1]), rows[:-1]])

    return move(x), lambda g: (move(g[::-1])[::-1],)


@mp.op
def rolled(x):
    """Rows move down by one, and the last row enters at the top."""
    return np.roll(x, 1, axis=0), lambda g: (np.roll(g, -1, axis=0),)


class MovedLink(nn.Module):
    def __init__(self, link, move):
        self.link, self.move = link, move

    def __call__(self, above):
        return self.link(self.move(above))


def move_links(model, move):
    for layer in model.layers:
        layer.link = MovedLink(layer.link, move)


def include_own_row(model, move=lambda above: above):
    """The other way to write the model: the vertical stack knows its own row, and every link has to move it down."""
    first = model.layers[0].vertical
    model.layers[0].vertical = nn.VerticalConv2d(
        first.groups_in, first.groups_out, first.kernel, "B", nn.Init(0, "float64")
    )
    move_links(model, move)


def open_own_pixel(model):
    first = model.layers[0].horizontal
    model.layers[0].horizontal = nn.Conv2d(first.groups_in, first.groups_out, first.kernel, "B", nn.Init(0, "float64"))


def turn_upside_down(model):
    model.layers[2].vertical.mask = model.layers[2].vertical.mask[::-1]


def mirror_a_row(model):
    model.layers[1].horizontal.mask = model.layers[1].horizontal.mask[:, ::-1]


def split_colours_at_the_gate(model):
    """Colours dealt out over all 2p channels: with p = 10, channel k and channel p + k differ in colour."""
    layer = model.layers[0]
    groups = nn.colour_groups(20, 3)
    layer.horizontal = nn.Conv2d(layer.horizontal.groups_in, groups, (1, 7), "A", nn.Init(0, "float64"))


def forget_colours_after_the_gate(model):
    model.layers[1].out = nn.Pointwise(np.zeros(10, int), np.zeros(10, int), nn.Init(0, "float64"))


def feed_horizontal_to_vertical(model):
    def forward(x, condition=None, rng=None):
        above, h = model.layers[0](x, x, condition)
        for layer in model.layers[1:]:
            above, h = layer(ops.gate(above) + h, h, condition)
        return model.top(h)

    model.forward = forward


@pytest.mark.parametrize(
    ("shape", "mistake"),
    [
        (GREY, include_own_row),
        (GREY, lambda model: include_own_row(model, rolled)),
        (GREY, lambda model: move_links(model, rolled)),
        (GREY, open_own_pixel),
        (GREY, turn_upside_down),
        (GREY, mirror_a_row),
        (GREY, feed_horizontal_to_vertical),
        (RGB, split_colours_at_the_gate),
        (RGB, forget_colours_after_the_gate),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)).replace("<lambda>", "roll"),
)
def test_a_planted_mistake_is_caught(shape, mistake):
    model = gated(shape, filters=10)  # no multiple of three
    mp.assert_causal(randomised(model))
    mistake(model)
    with pytest.raises(mp.CausalityError, match=r"\(0, 0\).* depends on \(0, 0\).* \(its own value\)"):
        mp.assert_causal(randomised(model))


def test_a_stack_that_includes_its_row_is_right_with_a_zero_shift():
    """So the catalogue fails what is wrong, not what is merely written another way."""
    model = gated((5, 6, 1), filters=8, layers=4)
    include_own_row(model, shifted)
    report = mp.check_causality(randomised(model))
    assert report.ok and len(report.blind) == 0, str(report)


def test_shifted_twice_is_causal_but_blind():
    """The own row left out by the mask, and the links moved down as well: no leak, but the row above is never seen."""
    model = gated((5, 6, 1), filters=12, layers=5)
    move_links(model, shifted)
    report = mp.check_causality(model)
    assert report.ok
    lost = [(r, c, r - 1, from_c) for r in range(1, 5) for c in range(6) for from_c in range(6)]
    assert [(*output[:2], *read[:2]) for output, read in report.blind] == lost


# --- conditions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [{"num_classes": 3}, {"condition_shape": (2,)}, {"condition_shape": (*GREY[:2], 2)}])
def test_conditions_enter_both_gates_of_every_layer(kind):
    model = gated(**kind)
    rng = np.random.default_rng(0)
    images, condition = rng.integers(0, 2, (6, *GREY)), model.conditions.random(6, rng)
    names = [name for name, _ in model.named_parameters() if "told" in name]
    assert len(names) == 2 * len(model.layers)
    weights = [dict(model.named_parameters())[name] for name in names]
    found = dict(zip(names, gradients(model.loss(images, condition), weights), strict=True))
    for name, gradient in found.items():
        a, b = np.split(gradient, 2, axis=1)
        assert np.abs(a).max() > 0 and np.abs(b).max() > 0, name
    mp.assert_causal(model)
    assert mp.gradcheck_model(model, images, condition, directions=3) <= 1e-10
    silent = model.state_dict() | {name: np.zeros_like(found[name]) for name in names}
    model.load_state_dict(silent)
    plain = gated()
    plain.load_state_dict({name: w for name, w in silent.items() if name not in names})
    # Not to the bit: what a condition that is a map says is added in another order than a bias.
    np.testing.assert_allclose(model.log_prob(images, condition), plain.log_prob(images), rtol=1e-13)


# --- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"filters": 0}, r"^filters: got 0, wanted a whole number in 1\.\."),
        ({"layers": 0}, r"^layers: got 0, wanted a whole number in 1\.\."),
        ({"kernel": 4}, r"^kernel: got 4, wanted an odd number, .* try 5$"),
        ({"kernel": 1}, r"^kernel: got 1, wanted a whole number in 3\.\."),
        ({"first_kernel": 6}, r"^first_kernel: got 6, wanted an odd number"),
        ({"dilations": 2}, r"^dilations: got 2, wanted one per layer after the first"),
        ({"dilations": ()}, r"^dilations: got \(\), wanted one per layer"),
        ({"dilations": (1, 0)}, r"^dilations: got 0, wanted a whole number in 1\.\."),
        ({"head_width": 0}, r"^head_width: got 0, wanted a whole number in 1\.\."),
    ],
)
def test_bad_configurations(options, match):
    with pytest.raises(ValueError, match=match):
        gated(**options)


def test_bad_ops():
    with pytest.raises(ValueError, match=r"^gate: got 3 channels, wanted an even number"):
        ops.gate(np.zeros((2, 3)))
    one = np.ones((1, 1, 1, 1))
    with pytest.raises(ValueError, match=r"^conv2d: got dilation 0, wanted 1"):
        ops.conv2d(one, one, np.zeros(1), mask=one > 0, dilation=0)


def test_dilations_come_back_from_a_file(tmp_path):
    model = randomised(gated(layers=4, kernel=5, first_kernel=3, dilations=(2, 1)))
    model.save(tmp_path / "model.safetensors")
    again = mp.load(tmp_path / "model.safetensors")
    images = np.random.default_rng(0).integers(0, 2, (3, *GREY))
    assert again.config == model.config
    np.testing.assert_array_equal(again.log_prob(images), model.log_prob(images))
