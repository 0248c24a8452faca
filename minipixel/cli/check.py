"""`minipixel check`: whether a model is causal, in sentences and in a picture."""

import argparse
from typing import Any

from minipixel.causality import check_causality
from minipixel.causality.subjects import CallError
from minipixel.cli import architecture, own_code
from minipixel.cli.use import output_file, read_model, write_picture
from minipixel.models import MODELS, Model

COMMON = ("head", "mixtures", "inputs", "embedding_width")
OF_A_NEW_MODEL = ("model", "shape", "levels", *COMMON)
OF_OWN_CODE = ("shape", "head", "inputs")
"""Those that code of one's own takes, too, in its own meaning."""


def check(arguments: argparse.Namespace) -> int:
    """Check a model from a file, a new model, or a user's code; returns 0 if it is causal, 1 if not."""
    out = output_file(arguments.out, (".png",))
    options: dict[str, Any] = {"images": arguments.images, "rng": arguments.seed, "tolerance": arguments.tolerance}
    options |= {name: getattr(arguments, name) for name in ("order", "layout", "batch_size", "channels_first")}
    if arguments.modes is not None:
        options["modes"] = tuple(arguments.modes)
    if arguments.file and own_code.names_code(arguments.file):
        report = _of_own_code(arguments, options)
    else:
        model = _model(arguments)
        print(_described(model))
        report = check_causality(model, **options)
    print(report)
    if len(report.outputs):
        write_picture(out, report.plot())
        print(f"picture {out}")
    return 0 if report.ok else 1


def _of_own_code(arguments: argparse.Namespace, options: dict[str, Any]) -> Any:
    """The report on a user's code. If that raises an error, a ValueError names its line."""
    name = arguments.file
    _refuse(arguments, [option for option in OF_A_NEW_MODEL if option not in OF_OWN_CODE])
    print(f"{name}: its code runs now, with all that you may do yourself", flush=True)
    thing = own_code.thing_in(name)
    if isinstance(thing, Model):
        _refuse(arguments, list(OF_OWN_CODE))
        print(_described(thing))
        return check_causality(thing, **options)
    if arguments.shape is None and callable(thing):
        raise ValueError(
            "--shape: got none, wanted that of an image in the layout of what is checked: 1 28 28 for PyTorch"
        )
    options |= {"head": arguments.head, "inputs": _fed(arguments.inputs)}
    try:
        return check_causality(thing, arguments.shape and tuple(arguments.shape), **options)
    except CallError as error:
        raise CallError(f"{error}{own_code.line_of(error.__cause__, name.rpartition(':')[0])}") from error


def _fed(inputs: list[str] | None) -> tuple[str, float, float] | None:
    """The kind of images that a user's code takes, from DTYPE LOWEST HIGHEST."""
    if inputs is None:
        return None
    try:
        dtype, lowest, highest = inputs
        return dtype, float(lowest), float(highest)
    except ValueError:
        raise ValueError(
            f"--inputs: got {' '.join(inputs):.60}, wanted DTYPE LOWEST HIGHEST, int64 0 255 say"
        ) from None


def _model(arguments: argparse.Namespace) -> Model:
    """The one minipixel model that the arguments name. Raises ValueError for none, and for two."""
    if arguments.file:
        _refuse(arguments, list(OF_A_NEW_MODEL))
        return read_model(arguments.file, arguments.own_classes)
    if not (arguments.model and arguments.shape):
        raise ValueError(
            "check: got no model, wanted a model.safetensors, or --model with --shape H W C, or net.py:make_model"
        )
    if len(arguments.shape) != 3:
        raise ValueError(f"--shape: got {' '.join(map(str, arguments.shape)):.60}, wanted H W C, three whole numbers")
    options = architecture.chosen(arguments) | {
        name: getattr(arguments, name) for name in COMMON if getattr(arguments, name) is not None
    }
    if len(words := options.get("inputs", [""])) != 1:
        raise ValueError(f"--inputs: got {' '.join(words):.60} for a minipixel model, wanted one word, scaled say")
    options |= {"inputs": words[0]} if "inputs" in options else {}
    return MODELS[arguments.model](
        tuple(arguments.shape), 2 if arguments.levels is None else arguments.levels, **options
    )


def _refuse(arguments: argparse.Namespace, options: list[str]) -> None:
    """Raise ValueError for options that describe a new model, given beside a file or code that decides them."""
    given = [name for name in options if getattr(arguments, name) is not None] + architecture.given(arguments)
    if given:
        option = given[0].replace("_", "-")
        raise ValueError(
            f"--{option}: got one beside {arguments.file}, wanted one of the two; a file says what is in it"
        )


def _described(model: Model) -> str:
    return f"{model.describe()}, {model.num_parameters:,} weights"
