"""The folder that `minipixel train` writes, which describes the training and how to repeat it."""

import contextlib
import hashlib
import json
import math
import platform
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import minipixel
from minipixel.backend import gpu
from minipixel.cli import config
from minipixel.cli.installation import COMPUTING, installed
from minipixel.datasets import Dataset
from minipixel.errors import FormatError, visible
from minipixel.files import Claim, alone_with, read_regular, write_atomically
from minipixel.kernels import numba_enabled
from minipixel.models import Model, load
from minipixel.ranks import now
from minipixel.training import Callback
from minipixel.training.callbacks import csv_logger

MAX_BYTES = 2**16
"""The longest file of figures that is read."""

REMARKS = (
    "The settings of a training, by the names of the options of `minipixel train`; options given there go first.",
    "Repeated with the same data and versions, on the same kind of machine, it gives the same bits:",
)


class RunFolder(Callback):
    """The folder for the results. Inside `with` it belongs to this process, and no other can train in it.

    A folder that the user names must not hold a run already (FileExistsError), unless that run is resumed. Without a
    name the first free one is taken. If `fit` raises an error before its first step, the folder is removed again. Its
    config.toml has all settings, defaults included, and whatever else the bits of the result depend on. Of several
    ranks the first has the folder, and tells the others its name.
    """

    writes = True

    def __init__(self, wanted: str | None, default: str, resumed: str | None = None) -> None:
        self._wanted, self._default, self._resumed = wanted or None, default, resumed
        self.path = Path(resumed or wanted or default)

    def __enter__(self) -> "RunFolder":
        self.begun = False
        self._made: list[Path] = []
        if not now().first:
            self._held = contextlib.ExitStack()
            self.path = Path(now().from_first("folder", ""))
            return self
        with contextlib.ExitStack() as held:
            held.callback(self._leave_nothing)
            self._take()
            held.enter_context(alone_with([Claim(self.path, is_folder=True)]))
            if not self._resumed:
                self._check_free()
            now().from_first("folder", str(self.path))
            self._held = held.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._held.close()

    def _take(self) -> None:
        """Make the folder: a new one, unless the user named it."""
        if self._resumed:
            return
        number = 1
        while True:
            try:
                self._make(self.path)
                break
            except FileExistsError:
                if self._wanted is not None:
                    return  # it may be empty, or hold what is no run
                number += 1
                self.path = Path(f"{self._default}-{number}")
        if number > 1:
            print(f"folder  {self.path}, since {self._default} is taken")

    def _make(self, folder: Path) -> None:
        """Make a new folder, and its parents. Raises FileExistsError."""
        if not folder.parent.is_dir():
            with contextlib.suppress(FileExistsError):
                self._make(folder.parent)
        folder.mkdir()
        self._made.append(folder)

    def _check_free(self) -> None:
        for name in ("model.safetensors", "config.toml"):
            if (self.path / name).exists():
                what, go_on = ("a model", "") if name == "model.safetensors" else ("a run", "--resume it, ")
                raise FileExistsError(
                    f"{self.path}: holds {what} already; {go_on}give --out another folder, or remove that"
                )

    def _leave_nothing(self) -> None:
        """Remove the folders that were made for a training that did not begin."""
        for folder in () if self.begun else reversed(self._made):
            with contextlib.suppress(OSError):
                folder.rmdir()

    @property
    def checkpoints(self) -> Path:
        """The folder of its checkpoints."""
        return self.path / "checkpoints"

    def explain(self, settings: Mapping[str, Any], made_with: Mapping[str, str]) -> None:
        """Set the content of config.toml."""
        remarks = (*REMARKS, f"  {repeat_command(self.path / 'config.toml')}")
        self._config = config.write(settings, made_with, remarks)

    def on_train_begin(self, model: Model, images_in_all: int) -> None:
        """Write config.toml. Raises OSError."""
        self.begun = True
        write_atomically(self.path / "config.toml", self._config)


def made_with(ds: Dataset, device: str) -> dict[str, str]:
    """All that the bits of a training depend on besides its settings: the data, versions, kinds of machine and GPU."""
    images = hashlib.sha256()
    for split in (ds.train, ds.validation, ds.test):
        for part in (split.images, split.labels):
            images.update(np.ascontiguousarray(part).data)  # of a large folder, without reading it into memory at once
    return {
        **{"minipixel": minipixel.__version__, "python": platform.python_version()},
        **{name: installed(name) for name in COMPUTING.values()},
        **{"kernels": "numba" if numba_enabled() else "plain", "machine": f"{platform.system()} {platform.machine()}"},
        "device": device if device == "cpu" else gpu(),
        "data_sha256": images.hexdigest(),
    }


def describe(folder: Path) -> str:
    """A description of a run folder: how to repeat it, its settings, versions, results, files and model.

    Raises FormatError, with the name of the file, if one of them is not as `minipixel train` writes it.
    """
    path = folder / "config.toml"
    if not path.is_file():
        raise FileNotFoundError(f"{folder}: got a folder without config.toml, wanted one that minipixel train left")
    settings, versions = config.read(path)
    lines = [f"run       {folder}", f"repeat    {repeat_command(path)}"]
    lines += [*_table("settings", settings), *_table("made with", versions)]
    lines += [*_table("figures", read_figures(folder / "figures.json")), *_log(folder / "log.csv")]
    lines += ["files     " + ", ".join(files(folder))]
    if (folder / "model.safetensors").is_file():
        lines.append(load(folder / "model.safetensors").summary())
    return "\n".join(lines)


def files(folder: Path) -> list[str]:
    """The files in a folder, without hidden ones, which belong to a training that is still running."""
    return sorted(
        visible(file.name) + "/" * file.is_dir() for file in folder.iterdir() if not file.name.startswith(".")
    )


def repeat_command(path: Path) -> str:
    """The command that repeats a run, given its config.toml."""
    return f"minipixel train --config {shlex.quote(str(path))}"


def _table(title: str, values: Mapping[str, Any]) -> list[str]:
    """A title and one line for each value, whatever characters it has."""
    return [title] * bool(values) + [f"  {visible(name):25} {visible(value)}" for name, value in values.items()]


def log_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a run's log, one by one; none if there is no such file yet."""
    if path.exists():
        yield from csv_logger.read_table(read_regular(path, csv_logger.MAX_BYTES), path)


def read_figures(path: Path) -> dict[str, Any]:
    """The figures of a run: names with numbers or words; an empty dict if there is no such file yet."""
    if not path.exists():
        return {}
    return decode_figures(str(path), read_regular(path, MAX_BYTES))


def decode_figures(path: str, content: bytes) -> dict[str, Any]:
    """The same for a file that is in memory already; `path` is its name in error messages."""
    try:
        figures = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path}: got a file that is not JSON ({error!s:.200}), expected figures") from error
    if not isinstance(figures, dict) or any(isinstance(value, (dict, list)) for value in figures.values()):
        raise FormatError(f"{path}: got other JSON, expected names and numbers")
    return figures


def _log(path: Path) -> list[str]:
    """How many epochs there were, and which was the best in validation; the log is read row by row."""
    epochs, best, bits = 0, "", math.inf
    for row in log_rows(path):
        epochs += 1
        reached = float(row.get("val_bits_per_dim") or math.inf)
        if reached < bits:
            best, bits = row["epoch"], reached
    if bits == math.inf:
        return [f"log       {epochs} epochs"] * bool(epochs)
    return [f"log       {epochs} epochs; on the validation images the best is {visible(best)}, {bits:.4f} bits/dim"]
