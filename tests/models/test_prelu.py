"""A PixelCNN with learned rectifiers."""

import numpy as np
import pytest

import minipixel as mp

SHAPE = (6, 5, 1)
IMAGES = np.random.default_rng(0).integers(0, 2, (20, *SHAPE)).astype(np.uint8)


def small(**options):
    return mp.models.PixelCNN(SHAPE, 2, **{"hidden": 8, "blocks": 2, "dtype": "float64"} | options)


def slopes(model):
    return {name: weight for name, weight in model.state_dict().items() if name.endswith("slope")}


def test_a_slope_a_channel_before_each_convolution_but_the_first():
    model = small(activation="prelu")
    found = slopes(model)
    assert sorted(len(slope) for slope in found.values()) == sorted(2 * [16, 8, 8] + [16, 16, 16])
    assert all((slope == 0.25).all() for slope in found.values())
    assert model.num_parameters == small().num_parameters + sum(slope.size for slope in found.values())


def test_slopes_of_0_are_the_relu():
    model, plain = small(activation="prelu"), small()
    same = plain.state_dict() | {name: np.zeros_like(slope) for name, slope in slopes(model).items()}
    model.load_state_dict(same)
    np.testing.assert_allclose(model.log_prob(IMAGES), plain.log_prob(IMAGES), rtol=1e-14)


def test_slopes_are_learned():
    """As in the well-known tutorial: Nadam, binary pixels."""
    model = small(activation="prelu")
    before = model.bits_per_dim(IMAGES)
    mp.fit(model, IMAGES, epochs=3, batch_size=5, optimizer=mp.optim.Nadam(), progress=False)
    assert all((slope != 0.25).any() for slope in slopes(model).values())
    assert model.bits_per_dim(IMAGES) < before


def with_its_own(model):
    """Weights of the model itself, one that is frozen, and lists of lists."""
    model.scale, model.shift = model.init.zeros(5), model.init.zeros(7)
    model.shift = model.shift.data
    model.slopes = [[model.init.zeros(2)], [model.init.zeros(3), [mp.nn.PReLU(11, model.init)]]]
    return model


@pytest.mark.parametrize("more", [lambda model: model, with_its_own])
@pytest.mark.parametrize("options", [{"activation": "prelu"}, {"num_classes": 3}, {}])
def test_the_summary_lists_every_weight(options, more):
    model = more(small(**options))
    lines = model.summary().splitlines()
    stored = [int(line.split()[-2].replace(",", "")) for line in lines[2:]]
    assert stored[-1] == sum(stored[:-1]) == model.num_parameters
    own = [line.split()[-2] for line in lines if line.startswith("(its own)")]
    assert own == (["17"] if more is with_its_own else [])
    assert ("slopes.1.1.0 " in model.summary()) == (more is with_its_own)
    assert ("PReLU(16)" in model.summary()) == ("activation" in options)
    assert ("Conditioning(1x1, 3 -> 8)" in model.summary()) == ("num_classes" in options)
