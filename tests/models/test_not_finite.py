"""A model that is not finite says so in one line, whatever it is asked for: no picture, no verdict, no number."""

import contextlib
import re

import numpy as np
import pytest
from model_table import SMALL

import minipixel as mp
from minipixel import cli, kernels, models
from minipixel.heads import HEADS
from minipixel.sampling import SAMPLERS

IMAGES = np.zeros((2, 4, 4, 1), np.uint8)
KNOWN = np.zeros((4, 4), bool)
ASKED = {
    "sample": lambda model: model.sample(2, rng=0),
    **{f"sample, {method}": lambda model, m=method: model.sample(2, rng=0, method=m) for method in SAMPLERS},
    "complete": lambda model: model.complete(IMAGES, KNOWN, rng=0),
    "log_prob": lambda model: model.log_prob(IMAGES),
    "log_prob_map": lambda model: model.log_prob_map(IMAGES),
    "bits_per_dim": lambda model: model.bits_per_dim(IMAGES),
    "check_causality": lambda model: mp.check_causality(model, images=1),
}
asked = pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
BODIES = {"as written": kernels.as_written, "compiled": contextlib.nullcontext}
bodies = pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)


def model_of(name="pixelcnn", **options):
    model = models.MODELS[name]((4, 4, 1), 2, **SMALL[name], rng=0, **options)
    model.initialized or model.initialize(IMAGES)
    return model


def refused(ask, model, said):
    with pytest.raises(ValueError, match=said) as caught:
        ask(model)
    assert "\n" not in str(caught.value)


@asked
@pytest.mark.parametrize("odd", [np.nan, -np.inf])
@pytest.mark.parametrize("name", SMALL)
def test_a_weight_that_is_not_finite_is_named(name, ask, odd):
    """Every kind of weight: the first, the last, and one between."""
    for place in (0, 1, -1):
        model = model_of(name)
        path, parameter = list(model.named_parameters())[place]
        parameter.data = parameter.data.copy()
        parameter.data.flat[-1] = odd
        kind = "NaN" if np.isnan(odd) else "infinite"
        refused(ask, model, rf"^{path}: got weights that are {kind}, 1 of {parameter.data.size}, wanted finite ones; ")


@bodies
@pytest.mark.filterwarnings("ignore:wavefront:UserWarning")
@pytest.mark.parametrize("method", SAMPLERS)
@pytest.mark.parametrize("head", HEADS)
def test_finite_weights_whose_maps_are_not(head, method, body):
    """Maps that overflow: nothing is drawn, by no sampler and from no head."""
    model = model_of(head=head)
    for parameter in model.parameters():
        parameter.data = parameter.data * np.float32(1e30)
    with body(), np.errstate(all="ignore"):
        refused(lambda model: model.sample(2, rng=0, method=method), model, "^draw: got NaN or infinite numbers from")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_check_of_maps_that_are_not_finite():
    model = model_of()
    for parameter in model.parameters():
        parameter.data = parameter.data * np.float32(1e30)
    refused(ASKED["check_causality"], model, "^PixelCNN: got NaN or infinite parameters, wanted numbers; ")


def test_the_embedding():
    network = models.EmbeddingNet((4, 4, 1), 2, filters=2, layers=1)
    network.last.bias.data = network.last.bias.data * np.nan
    refused(lambda network: network.embed(IMAGES), network, "^last.bias: got weights that are NaN")


@pytest.mark.parametrize(
    "command", [["sample", "x"], ["complete", "x"], ["evaluate", "x"], ["check", "x"]], ids=lambda command: command[0]
)
def test_commands(tmp_path, monkeypatch, capsys, command):
    """Status 2 and one line, and no picture is left; `info` still describes the file."""
    monkeypatch.chdir(tmp_path)
    model = models.PixelCNN((8, 8, 1), 17, hidden=2, blocks=1)
    model.stem.weight.data = model.stem.weight.data * np.nan
    model.save("x")
    assert cli.main(command) == 2
    told = capsys.readouterr()
    assert told.err.startswith("minipixel: error: stem.weight: got weights that are NaN") and told.err.count("\n") == 1
    assert [file.name for file in tmp_path.iterdir()] == ["x"]
    assert cli.main(["info", "x"]) == 0


@pytest.mark.parametrize("shape", [(), (3,), (4, 4, 2)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("odd", [1e39, -1e39, np.nan, np.inf])
def test_conditions_are_finite_in_the_models_numbers(shape, dtype, odd):
    """1e39 is a number of float64, and none of float32."""
    model = model_of(condition_shape=shape, dtype=dtype)
    condition = np.zeros((2, *shape))
    condition.flat[-1] = odd
    for ask in (
        lambda model: model.sample(2, condition, rng=0),
        lambda model: model.complete(IMAGES, KNOWN, condition, rng=0),
        lambda model: model.log_prob(IMAGES, condition),
        lambda model: model.loss(IMAGES, condition),
        lambda model: mp.fit(model, IMAGES, condition, epochs=1),
    ):
        if dtype == "float64" and np.isfinite(odd):
            np.testing.assert_array_equal(model.conditions.checked(condition, 2), condition)
        else:
            refused(ask, model, rf"^condition: got {re.escape(str(odd))}, wanted finite numbers, in {dtype} too")
