"""Each witness by itself: right about what is right, and able to say no."""

import numpy as np
import pytest
from model_table import SMALL, Case, diagonal

import minipixel as mp
from minipixel.causality import WITNESSES
from minipixel.causality.replay import replayed
from minipixel.causality.witnesses import MOST_IMAGES


def leaky(**options):
    """Mask B where the image comes in."""
    model = mp.models.PixelCNN((2, 3, 1), 2, **{"hidden": 8, "blocks": 1, "dtype": "float64"} | options)
    stem = model.stem
    model.stem = mp.nn.Conv2d(stem.groups_in, stem.groups_out, stem.kernel, "B", mp.nn.Init(1, model.dtype))
    return model


@diagonal
def test_all_hold_for_a_causal_model(case):
    model = case.model()
    said = {name: witness(model) for name, witness in WITNESSES.items()}
    assert all(witness.holds for witness in said.values()), said
    assert all(witness.name == name and "\n" not in str(witness) for name, witness in said.items())


@pytest.mark.parametrize("options", [{"num_classes": 3}, {"condition_shape": (2,)}, {"dropout": 0.4}])
def test_conditions_and_noise(options):
    model = Case("pixelcnn", (2, 3, 1), 2, "bernoulli").model(**options)
    assert all(witness(model).holds for witness in WITNESSES.values())


def test_mask_b_is_seen_by_all_but_one():
    """Images of a batch do not see each other; everything else is wrong."""
    said = {name: witness(leaky()) for name, witness in WITNESSES.items()}
    assert {name for name, witness in said.items() if witness.holds} == {"batch"}
    assert "naive" in said["replay"].line and "cached refuses, since the proof fails" in said["replay"].line


def test_a_leak_that_dropout_opens():
    """In training mode alone the output reads its own pixel: nobody sees it but who changes that, in that mode."""

    class Leaky(mp.models.PixelCNN):
        def forward(self, x, condition=None, rng=None):
            y = super().forward(x, condition, rng)
            return y if rng is None else y + x

    model = Leaky((2, 3, 1), 2, hidden=8, blocks=1)
    said = {name: witness(model) for name, witness in WITNESSES.items()}
    assert {name for name, witness in said.items() if not witness.holds} == {"perturbation"}
    assert "0 and 6 in training mode" in said["perturbation"].line
    assert not mp.check_causality(model).ok


def test_enumeration_refuses_what_it_cannot_write_down():
    model = mp.models.PixelCNN((4, 5, 1), 2, hidden=2, blocks=1)
    with pytest.raises(ValueError, match=r"^enumeration: got images of 20 sub-pixels with 2 levels, 2\*\*20 of them"):
        WITNESSES["enumeration"](model)
    assert MOST_IMAGES == 2**16
    assert WITNESSES["enumeration"](mp.models.PixelCNN((4, 4, 1), 2, hidden=2, blocks=1)).holds


@pytest.mark.parametrize("method", ["naive", "cached", "wavefront"])
@pytest.mark.parametrize("name", SMALL)
def test_what_is_gathered_while_drawing(name, method):
    """Of the very images that `sample` draws, one number each."""
    model = Case(name, (3, 3, 3), 3, "categorical").model(num_classes=2)
    gathered, finished = replayed(model, 3, method)
    assert gathered.shape == (3,) and len(set(gathered)) == 3
    np.testing.assert_allclose(gathered, finished, rtol=1e-10)


def test_replay_alone_sees_a_head_that_spoils_the_numbers_it_draws_by():
    model = Case("pixelcnn", (3, 3, 1), 2, "bernoulli").model()

    class Careless(type(model.head)):
        def draw(self, parameters, pixel, channel, uniforms, temperature):
            drawn = super().draw(parameters, pixel, channel, uniforms, temperature)
            parameters += 0.1  # after drawing, and before it is scored
            return drawn

    model.head = Careless(1, 2, 1)
    said = {name: witness(model) for name, witness in WITNESSES.items()}
    assert {name for name, witness in said.items() if not witness.holds} == {"replay"}


def test_an_op_that_does_not_say_what_it_reads():
    """Then there is neither a structure nor a proof, the check says so, and goes by gradients and by change."""

    @mp.op
    def mean(x):
        return x.mean(axis=(0, 1), keepdims=True) + 0 * x, lambda g: (g.mean(axis=(0, 1), keepdims=True) + 0 * g,)

    class Normalised(mp.models.PixelCNN):
        def forward(self, x, condition=None, rng=None):
            y = super().forward(x, condition, rng)
            return y - mean(y)

    report = mp.check_causality(Normalised((3, 3, 1), 2, hidden=8, blocks=1))
    assert not report.ok and "a statistic over the whole image" in report.why
    assert "structure: not to be had, nor a proof by the clock: clock: got op mean" in str(report)
