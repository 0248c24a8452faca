"""Weights that somebody froze, `layer.weight = layer.weight.data`: trained around, saved, loaded, resumed."""

import copy
import re

import numpy as np
import pytest
from model_table import SMALL

import minipixel as mp
from minipixel import checkpoint, plan

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(3, size=(8, 4, 4, 1)).astype(np.uint8)
HOW = {"array": lambda parameter: parameter.data, "tensor": lambda parameter: mp.Tensor(parameter.data)}


def build(name):
    return mp.models.MODELS[name]((4, 4, 1), 3, **SMALL[name])


def holder(model, name):
    """The layer that a weight of that dotted name is an attribute of, and the name of the attribute."""
    *path, attribute = name.split(".")
    for step in path:
        model = model[int(step)] if step.isdecimal() else getattr(model, step)
    return model, attribute


def freeze(model, names, how=HOW["array"]):
    for name in names:
        layer, attribute = holder(model, name)
        setattr(layer, attribute, how(getattr(layer, attribute)))
    return model


def train(model, **options):
    return mp.fit(model, IMAGES, **{"epochs": 1, "batch_size": 4, "progress": False} | options)


def assert_same(a, b):
    assert list(a) == list(b)
    for name, weight in a.items():
        np.testing.assert_array_equal(weight, b[name], err_msg=name)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("name", SMALL)
def test_every_third_weight_frozen(tmp_path, name, how):
    """Of every model: names, sizes, training, the way through a file, and through a dictionary."""
    model = build(name)
    every = [weight for weight, _ in model.named_parameters()]
    chosen, parameters, summary = every[::3], model.num_parameters, model.summary()
    freeze(model, chosen, HOW[how])
    assert model.frozen_names() == chosen
    assert (list(model.state_dict()), model.num_parameters, model.summary()) == (every, parameters, summary)
    before = model.state_dict()
    train(model)  # whose first batch sets scales, where there are such
    after = model.state_dict()
    same = [weight for weight in every if (before[weight] == after[weight]).all()]
    assert set(chosen) <= set(same) and len(same) < len(every)
    model.save(tmp_path / "model")
    again = mp.load(tmp_path / "model")
    assert again.frozen_names() == []  # a file says what weights are, not who may change them
    assert_same(again.state_dict(), after)
    np.testing.assert_array_equal(again.log_prob(IMAGES), model.log_prob(IMAGES))
    model.load_state_dict(before)
    assert model.frozen_names() == chosen
    assert_same(model.state_dict(), before)
    assert copy.deepcopy(model).frozen_names() == chosen


def test_what_is_frozen_after_a_training_is_still_planned():
    """Weights that were trained are views of one array, which those that are not frozen go on to change."""
    model = build("pixelcnn")
    train(model)
    freeze(model, ["blocks.0.look.weight"])
    assert model.blocks[0].look.weight.base is None
    assert plan.ready(model, 4, back=True) is not None


SCALED = ["gain", "bias", "v", "told"]
"""What of a weight-normalised layer may be frozen; `told` stands for the weight of its condition."""


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("frozen", [[], *([name] for name in SCALED), ["gain", "bias"], SCALED], ids=str)
def test_a_first_batch_sets_the_scales_of_what_is_not_frozen(frozen, how):
    """Of the layer before a gate, told of a class: every output has mean 0, unless its bias is frozen, and variance 1,
    unless the gain is or what scales with it; and no frozen weight changes.
    """
    model = mp.models.PixelCNNpp((4, 4, 1), 3, filters=6, resnets=1, num_classes=2, dtype="float64")
    part, seen = model.level.way_in[0].u, []
    names = [f"level.way_in.0.u.{'told.weight' if name == 'told' else f'second.{name}'}" for name in frozen]
    freeze(model, names, HOW[how])
    before, labels = model.state_dict(), np.arange(8) % 2
    model.initialize(IMAGES, labels)
    after = model.state_dict()
    assert model.frozen_names() == [name for name in after if name in names]
    for name in names:
        np.testing.assert_array_equal(before[name], after[name])

    class Seen:
        def __call__(self, *arguments):
            seen.append(call(*arguments).data)
            return call(*arguments)

    call, part.second = part.second, Seen()
    with mp.kernels.as_written():
        model.predict(IMAGES, labels)
    y = seen[0].reshape(-1, 12)
    scales = not {"gain", "told"} & set(frozen)
    assert np.allclose(y.std(axis=0), 1) == scales
    if "bias" not in frozen:
        np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-12)


def test_a_frozen_training_is_resumed_to_the_bit(tmp_path):
    frozen = ["stem.weight", "blocks.1.look.bias"]
    options = {"callbacks": [mp.callbacks.ModelCheckpoint(tmp_path), mp.callbacks.EMA(0.5)]}
    whole = freeze(build("pixelcnn"), frozen)
    train(whole, epochs=3, callbacks=[mp.callbacks.EMA(0.5)])
    train(freeze(build("pixelcnn"), frozen), epochs=1, **options)
    with pytest.raises(ValueError, match=re.escape(f"resume: got frozen None, wanted {frozen}")):
        train(build("pixelcnn"), epochs=3, resume=tmp_path, **options)
    again = freeze(build("pixelcnn"), frozen)
    train(again, epochs=3, resume=tmp_path, **options)
    assert_same(again.state_dict(), whole.state_dict())
    newest = max(tmp_path.glob("checkpoint-*"))
    assert_same(mp.load(newest).state_dict(), whole.state_dict())


@pytest.mark.parametrize("what", [None, 0.0, "float64", "shape", [1.0]], ids=str)
@pytest.mark.parametrize("way", ["assigned", "removed before"])
def test_what_could_not_be_loaded_is_not_saved(tmp_path, what, way):
    """Before any training, too, if there is to be a checkpoint: nothing is lost then."""
    model = build("pixelcnn")
    weight = model.stem.weight.data
    value = {"float64": weight.astype(np.float64), "shape": weight[:1]}.get(str(what), what)
    if way != "assigned":
        del model.stem.weight
    model.stem.weight = value
    said = r"^state: got .* in the place of stem\.weight, wanted float32 of shape "
    for save in (model.save, lambda path: train(model, callbacks=[mp.callbacks.ModelCheckpoint(path)])):
        with pytest.raises(ValueError, match=said) as e:
            save(tmp_path / "model")
        assert "\n" not in str(e.value)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


# --- files from before PixelCNN had kernel sizes ----------------------------------------------------------------------


def without_kernels(path):
    config, tensors = checkpoint.read(path)
    del config["kernel"], config["first_kernel"]
    checkpoint.write(path, config, tensors)


def test_older_files_are_loaded_and_resumed(tmp_path):
    model = build("pixelcnn")
    train(model, callbacks=[mp.callbacks.ModelCheckpoint(tmp_path)])
    (file,) = tmp_path.glob("checkpoint-*")
    without_kernels(file)
    loaded = mp.load(file)
    assert loaded.config == model.config
    assert_same(loaded.state_dict(), model.state_dict())
    whole, again = build("pixelcnn"), build("pixelcnn")
    train(whole, epochs=2)
    train(again, epochs=2, resume=file)
    assert_same(again.state_dict(), whole.state_dict())
    with pytest.raises(ValueError, match="resume: got the model's kernel 5, wanted 3"):
        other = mp.models.PixelCNN((4, 4, 1), 3, **SMALL["pixelcnn"], kernel=5)
        train(other, epochs=2, resume=file)
