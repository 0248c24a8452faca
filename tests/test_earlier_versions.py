"""Files that earlier versions wrote: models give the same likelihoods, and trainings that were stopped go on."""

import numpy as np
import pytest
from fixtures.v0_1 import make

import minipixel as mp
from minipixel import checkpoint

FILES = sorted(file.stem for file in make.HERE.glob("*.safetensors"))


@pytest.fixture(scope="module")
def expected():
    with np.load(make.HERE / "expected.npz", allow_pickle=False) as file:
        return dict(file)


def path_of(file):
    return make.HERE / f"{file}.safetensors"


def test_there_is_a_file_of_everything():
    """Of each model with and without a condition, grey and in colour; and of each optimizer."""
    assert sorted([*make.MODELS, *make.TRAININGS]) == FILES
    configs = [checkpoint.read(path_of(file))[0] for file in FILES]
    conditioned = {(c["model"], c["num_classes"] is not None or c["condition_shape"] is not None) for c in configs}
    assert conditioned == {(name, told) for name in mp.models.MODELS for told in (False, True)}
    assert {config["image_shape"][2] for config in configs} == {1, 3}
    optimizers = set(mp.optim.OPTIMIZERS.values()) - {mp.optim.AdamW}  # is younger
    assert {type(optimizer()) for _, optimizer, _ in make.TRAININGS.values()} == optimizers


@pytest.mark.parametrize("file", FILES)
def test_the_likelihoods_are_those_of_then(file, expected):
    """Of a checkpoint: with its averaged weights, where it has any."""
    model = mp.load(path_of(file))
    got = model.log_prob(expected[f"{file}/images"], expected.get(f"{file}/condition"))
    np.testing.assert_allclose(got, expected[f"{file}/log_prob"], rtol=1e-5)


@pytest.mark.parametrize("file", FILES)
def test_every_weight_counts(file, expected):
    """Else a file would not show that one of them was read wrongly."""
    model, rng = mp.load(path_of(file)), np.random.default_rng(0)
    inputs = expected[f"{file}/images"], expected.get(f"{file}/condition")
    for name, parameter in list(model.named_parameters()):
        before = parameter.data
        parameter.data = before + rng.standard_normal(before.shape).astype(before.dtype)
        moved = np.abs(model.log_prob(*inputs) / expected[f"{file}/log_prob"] - 1).max()
        parameter.data = before
        assert moved > 1e-4, name


@pytest.mark.parametrize("file", make.TRAININGS)
def test_a_training_that_was_stopped_goes_on(file, expected):
    """To the losses that it would have had then; dropout may drop others."""
    history, _ = make.training(file, resume=path_of(file))
    losses, then = history.history["loss"], expected[f"{file}/loss"]
    assert losses[0] == then[0]  # of the epoch before the stop: read from the file
    np.testing.assert_allclose(losses, then, rtol=0.15 if "dropout" in file else 1e-4)


@pytest.mark.parametrize("file", [file for file in make.TRAININGS if "dropout" not in file])
def test_those_losses_show_what_an_optimizer_remembered(file, expected, tmp_path):
    """One that has forgotten it goes on to others."""
    config, tensors = checkpoint.read(path_of(file))
    forgotten = {name: 0 * tensor if name.startswith("optimizer/") else tensor for name, tensor in tensors.items()}
    checkpoint.write(tmp_path / "forgetful.safetensors", config, forgotten)
    history, _ = make.training(file, resume=tmp_path / "forgetful.safetensors")
    assert np.abs(history.history["loss"] / expected[f"{file}/loss"] - 1).max() > 2e-4
