"""CSVLogger: the numbers of each epoch as a table in a file."""

import csv
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from minipixel.errors import FormatError
from minipixel.files import Claim, read_regular, write_atomically
from minipixel.models.checks import check_flag
from minipixel.training.callbacks.callback import Callback
from minipixel.training.callbacks.logs import training_goes_on
from minipixel.training.checkpoints import whole

MAX_BYTES, MAX_ROWS, MAX_LINE, MAX_COLUMNS = 2**24, 2**17, 2**15, 256
"""The longest table that is read, in bytes: 131,072 lines of 128 bytes; the longest line, and how many cells it has."""


class CSVLogger(Callback):
    """Writes the numbers of all epochs into the CSV file `path`: a column "epoch", from 1, and one for each number.

    The file is written anew after each epoch, whole or not at all. Numbers have enough digits to give the same bits
    when read; where an epoch does not report a number, the cell is empty. An existing file is overwritten; with
    `append` its rows stay in front of the new ones (FormatError if it is no such table). A folder that cannot be
    written to raises OSError before the first step. If the file cannot be written later, on a full disk say, there is a
    warning, and the rows are written after the next epoch. A checkpoint holds the rows too, so after a resumed training
    the file has each row once.
    """

    reads_numbers = True
    writes = True

    def __init__(self, path: str | os.PathLike[str], *, append: bool = False) -> None:
        self.path, self.append = Path(path), check_flag("append", append)

    def claims(self) -> list[Claim]:
        """The file that is written."""
        return [Claim(self.path, is_folder=False)]

    def on_train_begin(self, model: Any, images_in_all: int) -> None:
        """Read the rows to append to, if any, and try to write the file."""
        keep = self.append and self.path.exists()
        self._rows = list(read_table(read_regular(self.path, MAX_BYTES), self.path)) if keep else []
        self._older = len(self._rows)  # how many rows are not of this training
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path, self._table())

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Add a row and write the file. A row that a resumed epoch has already is replaced."""
        older, ours = self._rows[: self._older], self._rows[self._older :]
        before = [row for row in ours if int(row["epoch"]) <= epoch]
        self._rows = [*older, *before, {"epoch": epoch + 1, **logs}]
        self._write()

    def state(self) -> dict[str, Any]:
        """The table as bytes, and how many of its rows are older than this training."""
        return {"table": np.frombuffer(self._table().encode(), np.uint8), "older": self._older}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on with the table as it was then, whatever the file has by now."""
        if state["table"].dtype != np.uint8:
            raise ValueError(f"table: got {state['table'].dtype}, wanted the bytes of a table, uint8")
        self._rows, self._older = list(read_table(state["table"].tobytes(), "checkpoint")), whole(state["older"])
        self._write()

    def _write(self) -> None:
        with training_goes_on("CSVLogger", "the rows wait for the next epoch"):
            write_atomically(self.path, self._table())

    def _table(self) -> str:
        text = io.StringIO()
        columns = dict.fromkeys(name for row in self._rows for name in row)
        writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
        if self._rows:
            writer.writeheader()
            writer.writerows(self._rows)
        return text.getvalue()


def read_table(content: bytes, source: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """The rows of a table by CSVLogger, one by one, as dicts of texts: "epoch" is digits, other cells numbers or empty.

    Raises FormatError, with the name `source`, for another kind of file, and for too many columns or rows.
    """
    try:
        if len(content) > MAX_BYTES or content.count(b"\n") > MAX_ROWS:
            raise ValueError(f"more than {MAX_BYTES} bytes or {MAX_ROWS} lines")
        lines = csv.reader(_lines(content), strict=True)
        header = next(lines, ["epoch"])
        if len(set(header)) != len(header) or len(header) > MAX_COLUMNS:
            raise ValueError(f"{len(header)} columns, wanted at most {MAX_COLUMNS}, each once")
        if "epoch" not in header:
            raise FormatError(f"{source}: got a table without epochs, expected one by CSVLogger")
        for line in lines:
            row = dict(zip(header, line, strict=True))
            int(row["epoch"])
            for cell in filter(None, row.values()):
                float(cell)
            yield row
    except FormatError:
        raise
    except (ValueError, csv.Error) as error:
        raise FormatError(f"{source}: got no table of numbers ({error!s:.80}), expected one by CSVLogger") from error


def _lines(content: bytes) -> Iterator[str]:
    """The lines of a file, one by one; ValueError for a line that is too long for a row of numbers."""
    for line in io.BytesIO(content):
        if len(line) > MAX_LINE:
            raise ValueError(f"a line of {len(line)} bytes")
        yield line.decode()
