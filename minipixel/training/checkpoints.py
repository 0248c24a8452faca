"""Checkpoints: the files from which training is resumed, and the choice of the newest intact one in a folder.

A checkpoint is a model file (see minipixel.checkpoint) that also holds the state of training; `minipixel.load` reads
the model from it. Tensors of training have a slash in their names: `optimizer/MEMORY/WEIGHT`,
`callbacks/CALLBACK/ARRAY`, `history/NUMBER`. Plain numbers are in the configuration, under "training". All random
numbers depend on (seed, purpose, epoch, step) alone, so the seed and the position are all that is stored of them.
"""

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minipixel import checkpoint, console
from minipixel.errors import FormatError
from minipixel.files import read_regular
from minipixel.ranks import Ranks

NAME = re.compile(r"checkpoint-(\d+)-(\d+)\.safetensors")
"""The names of checkpoints in a folder: finished epochs, and finished steps of the next epoch, which give their age."""


UNFIT = (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError)
"""The errors that wrong numbers and arrays in a file can raise; a valid digest does not mean that its content fits."""


@dataclass
class Position:
    """How far training is: `epoch` finished epochs, and `step` batches of the next epoch.

    These batches had `seen` images, whose losses add up to `nats`; the norms of their gradients add up to `norms`.
    """

    epoch: int = 0
    step: int = 0
    seen: int = 0
    nats: float = 0.0
    seconds: float = 0.0
    norms: float = 0.0

    def advance(self, images: int, loss: float, norm: float) -> None:
        """Count one more batch, with its mean loss and the norm of its gradient."""
        self.step += 1
        self.seen += images
        self.nats += images * loss
        self.norms += norm

    def __str__(self) -> str:
        return f"{self.epoch} epochs and {self.step} steps of the next"


@dataclass
class Checkpoint:
    """The content of a checkpoint: position, the arguments of `fit` that must stay the same, and all other state."""

    path: Path
    model: dict[str, Any]
    position: Position
    same: dict[str, Any]
    optimizer: dict[str, Any]
    callbacks: dict[str, dict[str, Any]]
    history: dict[str, list[float]]
    weights: dict[str, np.ndarray]

    @property
    def seed(self) -> np.random.SeedSequence:
        """The seed of all random numbers of this training. Raises FormatError if the stored one is malformed."""
        try:
            return np.random.SeedSequence(**self.same["rng"])
        except UNFIT as error:
            raise FormatError(f"{self.path}: got a malformed seed ({error!r:.200}), expected whole numbers") from error

    def __str__(self) -> str:
        return f"{self.path}, {self.position} are done"


def find(path: str | os.PathLike[str]) -> Checkpoint | None:
    """The checkpoint in a file, or the newest intact one in a folder; None if the folder is missing or has none.

    Warns of each newer checkpoint that cannot be read. Raises FormatError if none in the folder can be read, or for a
    file that is no checkpoint; FileNotFoundError for a missing file.
    """
    path = Path(path)
    if path.suffix.lower() == ".safetensors" and not path.is_dir():
        return read(path)
    files = in_folder(path)
    for file in files:
        try:
            return read(file)
        except (FormatError, OSError) as error:
            if file == files[-1]:
                raise
            console.warn(f"resume: {error}; going back to the checkpoint before", stacklevel=3)
    return None


def in_folder(folder: Path) -> list[Path]:
    """The checkpoints in a folder, newest first."""
    ages = {file: NAME.fullmatch(file.name) for file in folder.iterdir()} if folder.is_dir() else {}
    found = {file: (int(age[1]), int(age[2])) for file, age in ages.items() if age}
    return sorted(found, key=lambda file: found[file], reverse=True)


def written(path: str | os.PathLike[str] | None) -> dict[Path, int]:
    """When each checkpoint of a folder, or the one file, was written; this shows whether it was written again later."""
    if path is None:
        return {}
    files = in_folder(Path(path)) or [Path(path)]
    return {file: file.stat().st_mtime_ns for file in files if file.is_file()}


def from_first(saved: Checkpoint | None, ranks: Ranks) -> Checkpoint | None:
    """The checkpoint that rank 0 has found, on every rank, which may not see that file."""
    if ranks.size == 1:
        return saved
    path = ranks.from_first("checkpoint", None if saved is None else str(saved.path))
    if path is None:
        return None
    content = ranks.from_first("checkpoint", read_regular(path, checkpoint.MAX_BYTES) if ranks.first else b"")
    return saved or _unpacked(Path(path), *checkpoint.decode(path, content))


def read(path: Path) -> Checkpoint:
    """The checkpoint in a file. Raises FormatError, naming the file and what is wrong, and OSError."""
    return _unpacked(path, *checkpoint.read(path))


def _unpacked(path: Path, config: dict[str, Any], tensors: dict[str, np.ndarray]) -> Checkpoint:
    """The checkpoint that a file holds."""
    training = config.pop("training", None)
    config.pop("pictures", None)  # of what it trains on now, a training says by itself
    if training is None:
        raise FormatError(f"{path}: got a model without a training, expected a checkpoint; minipixel.load reads it")
    try:
        at, optimizer = training["position"], training["optimizer"]
        return Checkpoint(
            path,
            config,
            Position(
                *(whole(at[name]) for name in ("epoch", "step", "seen")),
                *map(finite, (at["nats"], at["seconds"], at.get("norms", 0.0))),
            ),
            dict(training["same"]),
            optimizer | {"steps": whole(optimizer["steps"])} | _below(tensors, "optimizer/"),
            {key: kept | _below(tensors, f"callbacks/{key}/") for key, kept in training["callbacks"].items()},
            {name: _column(tensors[f"history/{name}"]) for name in training["history"]},
            {name: tensor for name, tensor in tensors.items() if "/" not in name},
        )
    except UNFIT as error:
        raise FormatError(
            f"{path}: got a training that does not fit ({error!r:.300}), expected a checkpoint"
        ) from error


def whole(value: Any) -> int:
    """A whole number from 0 up, as it was saved; else ValueError."""
    value = value.item() if np.ndim(value) == 0 and hasattr(value, "item") else value
    if type(value) is not int or value < 0:
        raise ValueError(f"got {value!r:.40}, wanted a whole number from 0 up")
    return value


def finite(value: Any) -> float:
    """A number, as it was saved; else ValueError."""
    value = value.item() if np.ndim(value) == 0 and hasattr(value, "item") else value
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError(f"got {value!r:.40}, wanted a finite number")
    return float(value)


def _column(values: np.ndarray) -> list[float]:
    if values.ndim != 1 or values.dtype != np.float64:
        raise ValueError(f"got a history of {values.dtype} of shape {values.shape}, wanted a list of numbers")
    return values.tolist()


def _below(tensors: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
