"""Files that earlier versions wrote: models give the same likelihoods, and trainings that were stopped go on."""

import numpy as np
import pytest
from fixtures.v0_1.files import RELEASE as OLDEST
from fixtures.v0_2.files import RELEASE as NEWER

import minipixel as mp
from minipixel import checkpoint
from minipixel.nn import INPUTS

RELEASES = (OLDEST, NEWER)
FILES = [pytest.param(release, file, id=file) for release in RELEASES for file in release.files]
TRAININGS = [param for param in FILES if param.values[1] in param.values[0].trainings]


def expected(release, file):
    """What it was given then, and what it gave: by name."""
    with np.load(release.folder / "expected.npz", allow_pickle=False) as arrays:
        return {name.partition("/")[2]: arrays[name] for name in arrays.files if name.startswith(f"{file}/")}


def inputs(then):
    """The images, and the condition: labels and numbers, one of them, or neither."""
    parts = [then[name] for name in ("condition", "condition1") if name in then]
    return then["images"], tuple(parts) if len(parts) == 2 else parts[0] if parts else None


def test_there_is_a_file_of_everything():
    """Of each model with and without a condition, grey and in colour; of each kind of input, head and optimizer."""
    for release in RELEASES:
        assert release.files == sorted(file.stem for file in release.folder.glob("*.safetensors"))
    configs = [checkpoint.read(release.path(file))[0] for release in RELEASES for file in release.files]
    conditioned = {(c["model"], c["num_classes"] is not None or c["condition_shape"] is not None) for c in configs}
    assert conditioned == {(name, told) for name in mp.models.MODELS for told in (False, True)}
    assert {config["image_shape"][2] for config in configs} == {1, 2, 3, 4}
    assert {config["head"] for config in configs} == set(mp.heads.HEADS)
    assert {config.get("inputs", "scaled") for config in configs} == set(INPUTS)
    made = {type(optimizer()) for release in RELEASES for _, optimizer, _ in release.trainings.values()}
    assert made == set(mp.optim.OPTIMIZERS.values())


@pytest.mark.parametrize(("release", "file"), FILES)
def test_the_likelihoods_are_those_of_then(release, file):
    """Of a checkpoint: with its averaged weights, where it has any."""
    then = expected(release, file)
    got = mp.load(release.path(file)).log_prob(*inputs(then))
    np.testing.assert_allclose(got, then["log_prob"], rtol=1e-5)


@pytest.mark.parametrize(("release", "file"), FILES)
def test_every_weight_counts(release, file):
    """Else a file would not show that one of them was read wrongly."""
    model, rng, then = mp.load(release.path(file)), np.random.default_rng(0), expected(release, file)
    for name, parameter in list(model.named_parameters()):
        before = parameter.data
        parameter.data = before + rng.standard_normal(before.shape).astype(before.dtype)
        moved = np.abs(model.log_prob(*inputs(then)) / then["log_prob"] - 1).max()
        parameter.data = before
        assert moved > 1e-4, name


@pytest.mark.parametrize(("release", "file"), TRAININGS)
def test_a_training_that_was_stopped_goes_on(release, file):
    """To the losses that it would have had then; dropout may drop others."""
    history, _ = release.training(file, resume=release.path(file))
    losses, then = history.history["loss"], expected(release, file)["loss"]
    assert losses[0] == then[0]  # of the epoch before the stop: read from the file
    np.testing.assert_allclose(losses, then, rtol=0.15 if "dropout" in file else 1e-4)


@pytest.mark.parametrize(("release", "file"), [p for p in TRAININGS if "dropout" not in p.values[1]])
def test_those_losses_show_what_an_optimizer_remembered(release, file, tmp_path):
    """One that has forgotten it goes on to others."""
    config, tensors = checkpoint.read(release.path(file))
    forgotten = {name: 0 * tensor if name.startswith("optimizer/") else tensor for name, tensor in tensors.items()}
    checkpoint.write(tmp_path / "forgetful.safetensors", config, forgotten)
    history, _ = release.training(file, resume=tmp_path / "forgetful.safetensors")
    assert np.abs(history.history["loss"] / expected(release, file)["loss"] - 1).max() > 2e-4
