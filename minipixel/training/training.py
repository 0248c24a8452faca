"""The class Training: the whole state of a training between two steps, which can be saved and restored."""

import hashlib
import inspect
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from minipixel import checkpoint, console
from minipixel.errors import FormatError, visible
from minipixel.models import Model
from minipixel.optim import Optimizer
from minipixel.training.callbacks import Callback
from minipixel.training.checkpoints import UNFIT, Checkpoint, Position
from minipixel.training.chosen import Chosen, pieces
from minipixel.training.history import History


@dataclass
class Training:
    """The state of a training between two steps. Callbacks get it in `on_pause`, and may `save` it there."""

    model: Model
    optimizer: Optimizer
    callbacks: Sequence[Callback]
    images: np.ndarray | Chosen
    beside: dict[str, Any]
    settings: dict[str, Any]
    history: History = field(default_factory=History)
    position: Position = field(default_factory=Position)
    saved: Path | None = None

    def __post_init__(self) -> None:
        self.settings |= {"optimizer": self.optimizer.settings()}  # now: a callback may change the learning rate

    @property
    def steps_an_epoch(self) -> int:
        """How many batches an epoch has; the last one may be smaller."""
        return -(-len(self.images) // self.settings["batch_size"])

    @property
    def steps(self) -> int:
        """How many steps have been taken in all epochs together."""
        return self.position.epoch * self.steps_an_epoch + self.position.step

    def _images_in(self, steps: int) -> int:
        """How many images the first so many steps of an epoch use."""
        return min(steps * self.settings["batch_size"], len(self.images))

    def logs(self) -> dict[str, float]:
        """The means over the epoch so far."""
        at = self.position
        loss = at.nats / at.seen
        return {"loss": loss, "bits_per_dim": self.model.bits(loss), "gradient_norm": at.norms / at.step}

    @cached_property
    def same(self) -> dict[str, Any]:
        """What must be the same when training is resumed, besides the model's configuration. Reads all images."""
        data = {"images": self.images, **self.beside}
        prints = {name: _fingerprint(array) for name, array in data.items() if array is not None}
        frozen = self.model.frozen_names()
        return self.settings | prints | ({"frozen": frozen} if frozen else {})

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write a checkpoint, whole or not at all; returns its path. Raises OSError (no permission, disk full ...)."""
        optimizer, tensors = _apart(self.optimizer.state_dict(), "optimizer/")
        callbacks = {}
        for key, callback in _named(self.callbacks):
            numbers, arrays = _apart(callback.state(), f"callbacks/{key}/")
            tensors |= arrays
            if numbers or arrays:
                callbacks[key] = numbers
        history = {f"history/{name}": np.array(values, np.float64) for name, values in self.history.history.items()}
        training = {
            "position": asdict(self.position),
            "same": self.same,
            "optimizer": optimizer,
            "callbacks": callbacks,
            "history": list(self.history.history),
        }
        checkpoint.write(
            path,
            {**self.model.config, **self.model.remembered(), "training": training},
            self.model.state_dict() | tensors | history,
        )
        self.saved = Path(path)
        return self.saved

    def check(self, saved: Checkpoint, epochs: int) -> None:
        """Raise ValueError if a checkpoint is not of this training, as far as that can be known."""
        done = saved.position
        if epochs < done.epoch + (done.step > 0):
            raise ValueError(f"epochs: got {epochs}, wanted more, since {done} in {saved.path}; raise it")
        _check_same("the model's ", self.model.config, _as_now(self.model, saved.model), saved.path)
        _check_same("", self.same, saved.same, saved.path)
        if done.epoch < 0 or not 0 <= done.step <= self.steps_an_epoch or done.seen != self._images_in(done.step):
            raise FormatError(f"{saved.path}: got {done}, of {done.seen} images, expected a place in this training")
        rate, steps = self.optimizer.learning_rate, saved.optimizer["steps"]
        if callable(rate) and steps and rate(steps - 1) != (wanted := saved.optimizer.get("rate")):
            got = f"{rate(steps - 1)} for step {steps - 1}"
            raise ValueError(f"resume: got a schedule that gives {got}, wanted {wanted!r:.60}, {_as_in(saved.path)}")

    def restore_model(self, saved: Checkpoint) -> None:
        """Take weights, optimizer, history and position from a checkpoint."""
        try:
            self.model.load_state_dict(saved.weights)
            self.optimizer.load_state_dict(saved.optimizer, self.model)
        except UNFIT as error:
            raise FormatError(f"{saved.path}: its weights or optimizer do not fit: {error!s:.300}") from error
        self.history.history = saved.history
        self.position = saved.position
        self.saved = saved.path

    def restore_callbacks(self, saved: Checkpoint) -> None:
        """Restore the state of all callbacks. Warns of callbacks that are new, and of those that are missing."""
        left = dict(saved.callbacks)
        for key, callback in _named(self.callbacks):
            state = left.pop(key, None)
            if state is None:
                if callback.state():
                    console.warn(f"resume: {saved.path} has no state of {key}, which starts anew", stacklevel=4)
                continue
            try:
                callback.restore(state)
            except UNFIT as error:
                raise FormatError(f"{saved.path}: its state of {key} does not fit: {error!r:.300}") from error
        for key in left:
            key = visible(key)
            console.warn(f"resume: {saved.path} has state of {key:.60}, which is not among the callbacks", stacklevel=4)


def _named(callbacks: Sequence[Callback]) -> list[tuple[str, Callback]]:
    """Each callback with a unique name: that of its class, with a number from the second of that class on."""
    counts: dict[str, int] = {}
    named = []
    for callback in callbacks:
        kind = type(callback).__name__
        counts[kind] = counts.get(kind, 0) + 1
        named.append((kind if counts[kind] == 1 else f"{kind}-{counts[kind]}", callback))
    return named


def _apart(state: Mapping[str, Any], prefix: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Numbers, for the configuration, and arrays, for the tensors of a file."""
    arrays = {f"{prefix}{name}": value for name, value in state.items() if isinstance(value, np.ndarray)}
    numbers = {name: value for name, value in state.items() if not isinstance(value, np.ndarray)}
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in numbers.items()}, arrays


def _fingerprint(array: Any) -> str:
    """Shape, dtype and a digest of the content; of a pair, both."""
    if isinstance(array, tuple):
        return "; ".join(_fingerprint(each) for each in array)
    digest = hashlib.sha256()
    for piece in pieces(array):
        digest.update(piece)
    return f"{'x'.join(map(str, array.shape))} {array.dtype}, SHA-256 {digest.hexdigest():.32}"


def _as_now(model: Model, stored: Mapping[str, Any]) -> dict[str, Any]:
    """A stored configuration with the defaults of those options that its model did not have yet."""
    options = inspect.signature(type(model)).parameters
    new = (name for name in model.config.keys() - stored.keys() if name in options)
    return {name: options[name].default for name in new} | dict(stored)


def _check_same(whose: str, given: Mapping[str, Any], stored: Mapping[str, Any], path: Path) -> None:
    data = "images", "condition", "sample_weight"  # last: what they are may depend on the rest
    for name in sorted(given.keys() | stored.keys(), key=lambda name: (name in data, name)):
        got, wanted = given.get(name), stored.get(name)
        if isinstance(got, dict) and isinstance(wanted, dict):
            _check_same(f"{name}'s ", got, wanted, path)
        elif got != wanted:
            raise ValueError(
                f"resume: got {whose}{visible(name):.60} {got!r:.200}, wanted {wanted!r:.200}, {_as_in(path)}"
            )


def _as_in(path: Path) -> str:
    return f"as in {path}; give the same, or train another model in another folder"
