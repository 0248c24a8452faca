"""The formats that are fuzzed, and what became of all the mutations of each."""

import collections
import functools
import hashlib
import random
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import fuzz_decoders as says
import fuzz_models as models
import fuzz_seeds as seeds
import fuzz_texts as texts
import numpy as np
from fuzz_mutations import Field

from minipixel import checkpoint
from minipixel.cli import config, run_folder
from minipixel.datasets.cifar10 import decode_cifar10
from minipixel.datasets.idx import decode_idx
from minipixel.datasets.npy import decode_npy
from minipixel.datasets.npz import decode_npz
from minipixel.datasets.pictures import decode_picture
from minipixel.datasets.png import decode_png
from minipixel.datasets.preparation import to_8_bits, with_channels
from minipixel.datasets.quickdraw import decode_bitmaps
from minipixel.errors import FormatError
from minipixel.training.callbacks.csv_logger import read_table

MUTATIONS = 20_000  # of each format, in the slow tests
MEASURED_EVERY = 20  # mutation has its memory measured, which makes it slower
SLACK = 1 << 19  # bytes: the buffers of zlib and zipfile and the text of headers, whatever the size of the file


Arrays = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Format:
    """A reader, sound files for it and where their fields are, and what it should read from broken ones.

    `again` breaks a file knowingly; `oracle` decodes independently, or is None for a format with a digest.
    """

    name: str
    decode: Callable[[str, bytes], Arrays]
    files: Sequence[bytes]
    fields: Callable[[bytes], Sequence[Field]]
    again: Callable[[random.Random, bytes], bytes] | None
    oracle: Callable[[bytes], Arrays] | None


class Outcome(NamedTuple):
    """How many mutations were refused, read as the original, read as what they say; the most memory, see `fuzz`."""

    refused: int
    same: int
    altered: int
    memory: int


def _idx(name, content):
    return {"": decode_idx(name, content, 3)}


def _idx_with_digest(name, content):
    return {"": decode_idx(name, content, 3, sha256=hashlib.sha256(seeds.IDX[0]).hexdigest())}


def _npy(name, content):
    return {"": decode_npy(name, content)}


def _bitmaps(name, content):
    return {"": decode_bitmaps(name, content)}


def _npz(name, content):
    return decode_npz(name, content, "a", "b")


def _cifar10(name, content):
    return dict(zip(("images", "labels"), decode_cifar10(name, content), strict=True))


def _png(name, content):
    return {"": decode_png(name, content)}


def _picture(name, content):
    """As RGBA of 8 bits."""
    return {"": with_channels(to_8_bits(decode_picture(name, content)), 4, 255)}


def _model(name, content):
    return checkpoint.decode(name, content)[1]


def _settings(name, content):
    settings, made_with = config.decode(name, content)
    return says.texts({**settings, "made_with": made_with})


def _log(name, content):
    return {str(number): np.array(list(row.items())) for number, row in enumerate(read_table(content, name))}


def _figures(name, content):
    return says.texts(run_folder.decode_figures(name, content))


def _at(*fields):
    return lambda content: fields


FORMATS = [
    Format("IDX", _idx, seeds.IDX, _at(*seeds.IDX_FIELDS), seeds.idx_again, says.idx),
    Format("IDX, gzipped", _idx, seeds.GZIPS, _at(*seeds.GZIP_FIELDS), seeds.gzip_again, says.idx),
    Format(
        "IDX, gzipped, with a digest",
        _idx_with_digest,
        seeds.GZIPS[:1],
        _at(*seeds.GZIP_FIELDS),
        seeds.gzip_again,
        None,
    ),
    Format("npy", _npy, seeds.NPYS, _at(*seeds.NPY_FIELDS), seeds.npy_again, says.npy),
    Format(
        "npy, bitmaps of Quick, Draw!", _bitmaps, seeds.BITMAPS, _at(*seeds.NPY_FIELDS), seeds.npy_again, says.bitmaps
    ),
    Format("npz", _npz, seeds.NPZS, seeds.npz_fields, seeds.npz_again, says.npz),
    Format("CIFAR-10, binary", _cifar10, seeds.CIFARS, _at(*seeds.CIFAR_FIELDS), None, says.cifar10),
    Format("PNG", _png, seeds.PNGS, _at(*seeds.PNG_FIELDS), seeds.png_again, says.png),
    *(Format(kind, _picture, files, _at(), None, says.picture) for kind, files in seeds.PICTURES.items()),
    Format("model file", _model, models.MODELS, _at(*models.MODEL_FIELDS), models.model_again, None),
    Format(
        "model file, signed anew",
        _model,
        models.MODELS,
        _at(*models.MODEL_FIELDS),
        models.model_signed_again,
        says.model,
    ),
    Format("settings (config.toml)", _settings, texts.SETTINGS, _at(), texts.settings_again, says.settings),
    Format("log (log.csv)", _log, texts.LOGS, _at(), texts.log_again, says.log),
    Format("figures (figures.json)", _figures, texts.FIGURES, _at(), texts.figures_again, says.figures),
]

BY_NAME = {format.name: format for format in FORMATS}


@functools.cache
def fuzz(format: Format, mutations: int = MUTATIONS) -> Outcome:
    """Break the files of a format in so many ways; AssertionError for all but a FormatError or what the bytes say.

    Memory is the largest peak over twice the decoded size, or, for a file that is refused, over twice its length.
    """
    rng, counts, memory = random.Random(format.name), collections.Counter(), 0
    originals = [(content, format.decode("sound", content), format.fields(content)) for content in format.files]
    for number in range(mutations):
        content, original, fields = originals[number % len(originals)]
        changed = seeds.broken(rng, content, fields, format.again)
        try:
            if number % MEASURED_EVERY:
                got = _read(format, changed)
            else:
                got, peak = _measured(format, changed)
                size = len(changed) if got is None else sum(array.nbytes for array in got.values())
                memory = max(memory, peak - 2 * size)
            verdict = "refused" if got is None else "same" if _equal(got, original) else "altered"
            if verdict == "altered":
                assert format.oracle is not None, "a silent change"
            if verdict != "refused" and format.oracle is not None:
                assert _equal(got, format.oracle(changed)), "not what it says"
        except Exception as error:
            raise AssertionError(f"{format.name}, mutation {number}: {error!r}; the file: {changed!r}") from error
        counts[verdict] += 1
    return Outcome(counts["refused"], counts["same"], counts["altered"], memory)


def _read(format: Format, content: bytes) -> Arrays | None:
    """What is read, or None for a FormatError, which has to be one line that names the file."""
    try:
        return format.decode("broken.file", content)
    except FormatError as error:
        message = str(error)
        assert message.startswith("broken.file: ") and message.isprintable() and len(message) < 600, message
        return None


def _measured(format: Format, content: bytes) -> tuple[Arrays | None, int]:
    tracemalloc.start()
    try:
        return _read(format, content), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _equal(got: Arrays, wanted: Arrays) -> bool:
    """Whether these are the same arrays to the bit, in names, dtypes, shapes and values."""
    return got.keys() == wanted.keys() and all(
        array.dtype.newbyteorder("=") == wanted[name].dtype.newbyteorder("=")
        and array.shape == wanted[name].shape
        and array.tobytes() == wanted[name].astype(array.dtype).tobytes()
        for name, array in got.items()
    )
