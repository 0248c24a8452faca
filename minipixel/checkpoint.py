"""Model files: safetensors, whose metadata have the configuration and a digest of everything. Nothing is unpickled.

The SHA-256 covers the canonical configuration (JSON, sorted keys, no spaces) and every tensor's name, dtype, shape
and bytes, in order of names. A file without a digest, or with a wrong one, is refused.
"""

import hashlib
import io
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any

import numpy as np

from minipixel.errors import FormatError
from minipixel.files import open_regular, write_atomically

MAX_BYTES = 2**32
"""The largest file that is written or read, in bytes: a thousand million weights."""

MAX_UNSEEN = 2**24
"""The most bytes for which memory is taken before they have been compared with the digest."""

PIECE = 2**20
"""How many bytes of a large file are looked at at once."""

MAX_HEADER = 2**20
"""The longest safetensors header that is read, in bytes."""

MAX_TENSORS, MAX_DIMENSIONS, MAX_SIZE = 10_000, 8, 2**50
"""The most tensors of a file, the most dimensions of one, and the most elements."""

MAX_BRACKETS, MAX_DIGITS = 4 * MAX_TENSORS, 300
"""The most lists and objects of a header or a configuration, and the most digits of a whole number in one."""

# What safetensors calls the dtypes that NumPy has too; files of bfloat16 or of eight-bit floats are refused.
_DTYPES = {
    "BOOL": "?", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4", "U64": "<u8",
    "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8",
}  # fmt: skip


_Entry = tuple[int, np.dtype, tuple[int, ...], int]
"""Where a tensor begins behind the header, its dtype and shape, and how many bytes it has."""


def write(path: str | os.PathLike[str], config: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> None:
    """Write a model file, whole or not at all.

    Raises OSError (no such folder, no permission, disk full), and ValueError for a file that could not be read again
    because it is too large, or because JSON cannot hold its configuration.
    """
    from safetensors.numpy import save

    try:
        _canonical(config)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{path}: got a configuration that JSON has no form for ({error!s:.100}), wanted numbers, words and lists; "
            "say int(...), str(...) or .tolist() where the model is made"
        ) from None

    # Numbers as safetensors stores them; np.ascontiguousarray would give a dimension to an array that has none.
    stored = {name: np.asarray(tensor, tensor.dtype.newbyteorder("<"), "C") for name, tensor in tensors.items()}
    size = sum(tensor.nbytes for tensor in stored.values())
    if size + MAX_HEADER + 8 > MAX_BYTES:
        raise ValueError(f"{path}: got {size} bytes of tensors, wanted at most {MAX_BYTES - MAX_HEADER - 8} in a file")
    # one entry, because safetensors writes several in an order that changes from run to run
    metadata = {"minipixel": _canonical({"config": config, "sha256": _digest(config, stored)})}
    write_atomically(path, save(stored, metadata))


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The configuration and the tensors of a model file.

    Raises FormatError for a file that is not an intact model file, with the name of the file, what was wrong and what
    was expected; FileNotFoundError and other OSErrors as the system gives them.
    """
    file, size = open_regular(path, MAX_BYTES)
    with file:
        return _decode(str(path), file, size)


def decode(name: str, content: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The same for a model file that is in memory already; `name` is its name in error messages."""
    return _decode(name, io.BytesIO(content), len(content))


def _decode(name: str, file: IO[bytes], size: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read a model file. Memory for tensors is taken only after the header accounts for every byte of the file.

    For a large file the digest is checked before that as well, by reading the file piece by piece.
    """
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or not 2 <= length <= min(MAX_HEADER, size - 8):
        raise FormatError(
            f"{name}: got {size} bytes that are no safetensors file, expected a model written by model.save; of other "
            "files take the arrays, for model.load_state_dict"
        )
    header = _json(name, "header", file.read(length))
    config, digest = _metadata(name, header.pop("__metadata__", None))
    entries = _entries(name, header, size - 8 - length)
    damaged = f"{name}: got content that does not match its own SHA-256, expected {digest[:12]!r}..."
    if size > MAX_UNSEEN and _digest_in(file, 8 + length, config, entries) != digest:
        raise FormatError(damaged)
    file.seek(8 + length)
    tensors = {}
    for tensor, (_, dtype, shape, count) in entries.items():
        content = np.empty(count, np.uint8)
        if file.readinto(content) != count:  # type: ignore[attr-defined]
            raise FormatError(f"{name}: got fewer bytes than before, expected a file that nobody writes to")
        tensors[tensor] = content.view(dtype).reshape(shape)
    if digest != _digest(config, tensors):
        raise FormatError(damaged)
    return config, tensors


def weights(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The model's own tensors in a checkpoint of training, with averaged ones in the place of weights if there are any.

    All tensors of training have a slash in their names; `.../average/NAME` is the average of the weight NAME.
    """
    own = {name: tensor for name, tensor in tensors.items() if "/" not in name}
    averaged = {name.rpartition("/average/")[2]: tensor for name, tensor in tensors.items() if "/average/" in name}
    return own | averaged


def _metadata(name: str, metadata: Any) -> tuple[dict[str, Any], str]:
    """The configuration and the digest, from the safetensors metadata."""
    if not isinstance(metadata, dict) or set(metadata) != {"minipixel"}:
        raise FormatError(
            f"{name}: got a safetensors file without a digest, or with notes, expected a model written by model.save"
        )
    ours = _json(name, "metadata entry", metadata["minipixel"])
    config, digest = ours.get("config"), ours.get("sha256")
    if not isinstance(config, dict) or not isinstance(digest, str):
        raise FormatError(f"{name}: got metadata without configuration or digest, expected both")
    return config, digest


def _entries(name: str, header: Mapping[str, Any], size: int) -> dict[str, _Entry]:
    """The place of each tensor, in the order of the file. They must fill its `size` without a gap."""
    if len(header) > MAX_TENSORS:
        raise FormatError(f"{name}: got {len(header)} tensors, expected at most {MAX_TENSORS}")
    placed = []
    for tensor, entry in header.items():
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
            raise FormatError(
                f"{name}: got {tensor!r:.60} with an entry of its own kind, expected dtype, shape, data_offsets"
            )
        dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not isinstance(dtype, str) or dtype not in _DTYPES:
            raise FormatError(
                f"{name}: got {tensor!r:.60} of dtype {dtype!r:.60}, expected one of {', '.join(_DTYPES)}"
            )
        if not _whole(shape, MAX_DIMENSIONS) or not _whole(offsets, 2) or len(offsets) != 2:
            raise FormatError(
                f"{name}: got {tensor!r:.60} of shape {shape!r:.60} at {offsets!r:.60}, expected whole numbers"
            )
        count = math.prod(shape) * np.dtype(_DTYPES[dtype]).itemsize
        if offsets[1] - offsets[0] != count:
            raise FormatError(
                f"{name}: got {tensor!r:.60} at {offsets}, expected {count} bytes for {dtype} of shape {shape}"
            )
        placed.append((offsets[0], count, tensor, np.dtype(_DTYPES[dtype]), tuple(shape)))
    end = 0
    for start, count, tensor, *_ in sorted(placed, key=lambda place: place[:2]):
        if start != end:
            raise FormatError(f"{name}: got {tensor!r:.60} at byte {start}, expected it at {end}, after the one before")
        end += count
    if end != size:
        raise FormatError(f"{name}: got {size} bytes of tensors, expected {end}, as the header declares")
    return {
        tensor: (start, dtype, shape, count)
        for start, count, tensor, dtype, shape in sorted(placed, key=lambda place: place[:2])
    }


def _whole(numbers: Any, most: int) -> bool:
    """Whether these are at most so many whole numbers from 0 up, whose product is not too large."""
    if not isinstance(numbers, list) or len(numbers) > most or any(type(n) is not int or n < 0 for n in numbers):
        return False
    return math.prod(max(n, 1) for n in numbers) <= MAX_SIZE


def _json(name: str, part: str, text: Any) -> dict[str, Any]:
    """A JSON object in which no key comes twice, at any depth; else FormatError."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) != len(pairs):
            raise ValueError("a key comes twice")
        return value

    def short(digits: str) -> int:
        if len(digits) > MAX_DIGITS:  # a float of it would overflow
            raise ValueError(f"a whole number of {len(digits)} digits")
        return int(digits)

    try:
        text = text.decode("utf-8") if isinstance(text, bytes) else text
        if (brackets := text.count("[") + text.count("{")) > MAX_BRACKETS:  # each takes many times its size
            raise ValueError(f"{brackets} lists and objects, more than {MAX_BRACKETS}")
        value = json.loads(text, object_pairs_hook=once, parse_int=short)
    except (AttributeError, TypeError, ValueError, RecursionError) as error:
        raise FormatError(f"{name}: got a {part} that is not JSON ({error!s:.200}), expected a model file") from error
    if not isinstance(value, dict):
        raise FormatError(f"{name}: got a {part} that is a {type(value).__name__}, expected a JSON object")
    return value


def _canonical(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _digest(config: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> str | None:
    """The digest of tensors in memory."""
    bytes_of = {name: np.ascontiguousarray(tensor).reshape(-1).view(np.uint8).data for name, tensor in tensors.items()}
    return _sha256(config, ((name, tensors[name].dtype, tensors[name].shape, [bytes_of[name]]) for name in bytes_of))


def _digest_in(file: IO[bytes], start: int, config: Mapping[str, Any], entries: Mapping[str, _Entry]) -> str | None:
    """The digest of tensors in a file, of which only a piece at a time is in memory."""

    def pieces(place: int, count: int) -> Iterator[bytes]:
        file.seek(start + place)
        for left in range(count, 0, -PIECE):
            yield file.read(min(PIECE, left))

    found = ((name, dtype, shape, pieces(place, count)) for name, (place, dtype, shape, count) in entries.items())
    return _sha256(config, found)


def _sha256(
    config: Mapping[str, Any], tensors: Iterable[tuple[str, np.dtype, tuple[int, ...], Iterable[bytes | memoryview]]]
) -> str | None:
    """The one definition of the digest; None for a configuration nested so deeply that it can only just be read."""
    try:
        digest = hashlib.sha256(_canonical(config).encode())
    except RecursionError:
        return None
    for name, dtype, shape, content in sorted(tensors, key=lambda tensor: tensor[0]):
        digest.update(json.dumps([name, dtype.str, list(shape)]).encode())
        for piece in content:
            digest.update(piece)
    return digest.hexdigest()
