"""Anybody can sign a checkpoint: whatever its state says, training goes on, or there is one line; no other error."""

import random
import sys
from pathlib import Path

import numpy as np
import pytest

import minipixel as mp
from minipixel import checkpoint
from minipixel.training import EMA, CSVLogger, EarlyStopping, LearningRate, ModelCheckpoint
from minipixel.training.checkpoints import in_folder

sys.path.insert(0, str(Path(__file__).parent))

from trained import IMAGES, LABELS, pixelcnn

VALUES = [
    None, True, 0, -1, 1, 2.5, 10**12, 2**63, 10**299, float("inf"), float("-inf"), float("nan"), 1e308, "", "x",
    "\x1b[2J", [], [1], {}, {"a": 1}, [[]],
]  # fmt: skip
ARRAYS = [
    np.zeros(0), np.array(1.0), np.zeros((2, 2)), np.zeros(3, np.uint8), np.array([np.nan]), np.array([True]),
    np.full(7, np.inf, np.float32), np.frombuffer(b"epoch,loss\n1,\x1b[2J\n", np.uint8), np.array([-1], np.int64),
]  # fmt: skip
MUTATIONS = 300


def train(folder, epochs, optimizer=mp.optim.Adam, **options):
    """The shortest training that has state of every kind."""
    watchers = [EMA(), LearningRate(lambda epoch, rate: rate / 2), EarlyStopping("loss", patience=9, min_delta=1e9),
                EarlyStopping("loss", patience=9, restore_best_weights=True), CSVLogger(folder / "log.csv"),
                ModelCheckpoint(folder / "best.safetensors", "loss", save_best_only=True)]  # fmt: skip
    watchers += [] if "resume" in options else [ModelCheckpoint(folder)]
    model = pixelcnn(dropout=0.0)
    options = {"batch_size": 11, "epochs": epochs, "progress": False, "workers": 1, "optimizer": optimizer()} | options
    mp.fit(model, IMAGES, LABELS, callbacks=watchers, **options)
    return model


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound")
    train(folder, 1)
    return checkpoint.read(in_folder(folder)[0])


def places(value, path=()):
    """All places in nested dicts and lists, from the inside out."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from places(item, (*path, key))
        yield (*path, key)


def changed(value, path, new):
    """The same with something else at one place; `new` is what to put there, or None to leave it out."""
    if not path:
        return new[0]
    copy = dict(value) if isinstance(value, dict) else list(value)
    if len(path) == 1 and new is None:
        del copy[path[0]]
    else:
        copy[path[0]] = changed(value[path[0]], path[1:], new)
    return copy


def resumed(folder, config, tensors):
    """What comes of going on with such a file: None, or the one line."""
    file = folder / "signed.safetensors"
    checkpoint.write(file, config, tensors)
    try:
        model = train(folder, 2, resume=file)
    except (ValueError, FloatingPointError) as error:
        said = str(error)
        assert type(error) in (ValueError, mp.FormatError, mp.NonFiniteError), repr(error)
        assert said.isprintable() and len(said) < 1000, said
        return said
    assert all(np.isfinite(weight).all() for weight in model.state_dict().values())
    return None


def test_a_sound_one_goes_on(sound, tmp_path):
    assert resumed(tmp_path, *sound) is None


@pytest.mark.filterwarnings("ignore:resume:UserWarning")
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_mutations_of_the_state(sound, tmp_path):
    """A number, a text or a list of another kind, at every place of the state; an array of another kind for each."""
    rng, (config, tensors), refused = random.Random(0), sound, 0
    training = config["training"]
    trials = [(path, [value]) for path in places(training) for value in [*rng.sample(VALUES, 3), *VALUES[6:12:2]]]
    trials += [(path, None) for path in places(training)]
    for path, new in rng.sample(trials, MUTATIONS * 2 // 3):
        try:
            refused += resumed(tmp_path, config | {"training": changed(training, path, new)}, tensors) is not None
        except Exception as error:
            raise AssertionError(f"{path}: {new}") from error
    for _ in range(MUTATIONS // 3):
        name, array = rng.choice(list(tensors)), rng.choice(ARRAYS)
        other = {key: value for key, value in tensors.items() if key != name}
        try:
            refused += resumed(tmp_path, config, rng.choice([other, other | {name: array}])) is not None
        except Exception as error:
            raise AssertionError(f"{name}: {array}") from error
    assert MUTATIONS / 2 < refused < MUTATIONS


@pytest.mark.parametrize("number", [float("inf"), float("nan"), -1, 2.5, 10**299, True, "1", None, [1]])
@pytest.mark.parametrize("name", ["epoch", "step", "seen", "nats", "seconds"])
def test_positions(sound, tmp_path, name, number):
    """No place in a training: of seconds alone there may be any finite number."""
    config, tensors = sound
    training = config["training"] | {"position": config["training"]["position"] | {name: number}}
    said = resumed(tmp_path, config | {"training": training}, tensors)
    assert (said is None) == (name in ("nats", "seconds") and type(number) in (int, float) and abs(number) < 10**300)


def test_numbers_of_more_digits_than_a_float_has(sound, tmp_path):
    config, tensors = sound
    training = config["training"] | {"optimizer": config["training"]["optimizer"] | {"learning_rate": 10**400}}
    said = resumed(tmp_path, config | {"training": training}, tensors)
    assert "got a metadata entry that is not JSON (a whole number of 401 digits), expected a model file" in said
