"""Model files: safetensors with the configuration and a digest of everything in the metadata. Nothing is unpickled.

The SHA-256 covers the canonical configuration (JSON, sorted keys, no spaces) and every tensor's name, dtype, shape
and bytes, in order of names. A file without one, or with another, is refused.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minipixel.errors import FormatError
from minipixel.files import write_atomically

MAX_HEADER = 2**20
"""The longest safetensors header that is read, in bytes."""


def write(path: str | os.PathLike[str], config: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> None:
    """Write a model file, whole or not at all. Raises OSError (no such folder, no permission, disk full)."""
    from safetensors.numpy import save

    # one entry, because safetensors writes several in an order that changes from run to run
    metadata = {"minipixel": _canonical({"config": config, "sha256": _digest(config, tensors)})}
    contiguous = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    write_atomically(path, save(contiguous, metadata))


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The configuration and the tensors of a model file.

    Raises FormatError, naming the file, what was wrong and what was expected, for anything but an intact one;
    FileNotFoundError and other OSErrors as the system gives them.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    content = Path(path).read_bytes()
    config, digest = _metadata(path, content)
    try:
        tensors = load(content)
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise FormatError(f"{path}: got tensors that cannot be read ({error}), expected safetensors") from error
    if digest != _digest(config, tensors):
        raise FormatError(f"{path}: got content that does not match its own SHA-256, expected {digest:.12}...")
    return config, tensors


def weights(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The model's own tensors in a checkpoint of training: averaged ones, where there are any.

    All that belongs to training has a slash in its name; `.../average/NAME` is what stands for the weight NAME.
    """
    own = {name: tensor for name, tensor in tensors.items() if "/" not in name}
    averaged = {name.rpartition("/average/")[2]: tensor for name, tensor in tensors.items() if "/average/" in name}
    return own | averaged


def _metadata(path: str | os.PathLike[str], content: bytes) -> tuple[dict[str, Any], str]:
    """The configuration and the digest; every size is checked against the length of the file before it is believed."""
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or not 2 <= length <= min(MAX_HEADER, len(content) - 8):
        raise FormatError(
            f"{path}: got {len(content)} bytes that are no safetensors file, expected a model written by model.save"
        )
    header = _json(path, "header", content[8 : 8 + length].decode("utf-8", "replace"))
    metadata = header.get("__metadata__")
    if not isinstance(metadata, dict) or "minipixel" not in metadata:
        raise FormatError(f"{path}: got a safetensors file without a digest, expected a model written by model.save")
    ours = _json(path, "metadata entry", metadata["minipixel"])
    config, digest = ours.get("config"), ours.get("sha256")
    if not isinstance(config, dict) or not isinstance(digest, str):
        raise FormatError(f"{path}: got metadata without configuration or digest, expected both")
    return config, digest


def _json(path: str | os.PathLike[str], part: str, text: Any) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise FormatError(f"{path}: got a {part} that is not JSON ({error}), expected a model file") from error
    if not isinstance(value, dict):
        raise FormatError(f"{path}: got a {part} that is a {type(value).__name__}, expected a JSON object")
    return value


def _canonical(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _digest(config: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256(_canonical(config).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(json.dumps([name, tensor.dtype.str, list(tensor.shape)]).encode())
        digest.update(np.ascontiguousarray(tensor).tobytes())
    return digest.hexdigest()
