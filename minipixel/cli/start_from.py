"""`minipixel train --from MODEL`: a training that begins with the weights of another one."""

import hashlib
from typing import Any

from minipixel.checkpoint import MAX_BYTES
from minipixel.cli import architecture
from minipixel.cli.boxed import path_of
from minipixel.cli.use import read_model
from minipixel.files import read_regular
from minipixel.models import Model


def settings_of(path: str) -> dict[str, Any]:
    """The settings that make a model like the one in a file, by the names of the options of `minipixel train`."""
    config = read_model(path).config
    if config["condition_shape"] is not None:
        shape = tuple(config["condition_shape"])
        raise ValueError(f"--from: got {path}, conditioned on arrays of {shape}, wanted classes or no condition")
    layers = {key: _as_given(config[key]) for key in architecture.parameters(config["model"])}
    common = {name: config[name] for name in ("model", "levels", "head", "mixtures")}
    return {**common, "conditional": config["num_classes"] is not None, **layers}


def take_weights(model: Model, path: str) -> None:
    """Copy the weights in a file into a model. Raises ValueError that says why they do not fit."""
    other = read_model(path)
    try:
        model.load_state_dict(other.state_dict())
    except ValueError as error:
        for key in ("model", *model.config):
            there, here = other.config.get(key), model.config[key]
            if there != here and key not in ("dtype", "image_shape"):
                raise ValueError(
                    f"--from: got {path}, whose {key} is {there}, wanted {here}, as in the model to train; leave out "
                    "what asks for that, or --from"
                ) from None
        raise ValueError(f"--from: got {path}, whose weights do not fit the model to train: {error}") from None
    model.initialized = other.initialized


def digest(path: str) -> str:
    """The SHA-256 of the file, on which the bits of such a training depend."""
    return hashlib.sha256(read_regular(path_of(path), MAX_BYTES)).hexdigest()


def _as_given(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
