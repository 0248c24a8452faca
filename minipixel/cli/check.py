"""`minipixel check`: the verdict on a model, in numbers and in a picture."""

import argparse

from minipixel.causality import check_causality
from minipixel.cli import architecture
from minipixel.cli.use import output_file, read_model, write_picture
from minipixel.models import MODELS, Model

COMMON = ("head", "mixtures", "inputs", "embedding_width")
OF_A_NEW_MODEL = ("model", "shape", "levels", *COMMON)


def check(arguments: argparse.Namespace) -> int:
    """Check the model of a file, or a new one: 0 if it is causal, 1 if it leaks."""
    out = output_file(arguments.out, (".png",))
    model = _model(arguments)
    report = check_causality(model, images=arguments.images, rng=arguments.seed)
    print(f"{model.describe()}, {model.num_parameters:,} weights\n{report}")
    if not report.ok:
        print(f"leak    {report.why}")
    write_picture(out, report.plot())
    print(f"picture {out}")
    return 0 if report.ok else 1


def _model(arguments: argparse.Namespace) -> Model:
    """The one model that the arguments name; ValueError for none or two."""
    given = [name for name in OF_A_NEW_MODEL if getattr(arguments, name) is not None]
    if arguments.file:
        architecture_too = architecture.given(arguments)
        if given or architecture_too:
            option = (given + architecture_too)[0].replace("_", "-")
            raise ValueError(
                f"--{option}: got one beside {arguments.file}, wanted one of the two; a file says what is in it"
            )
        return read_model(arguments.file, arguments.own_classes)
    if not (arguments.model and arguments.shape):
        raise ValueError("check: got no model, wanted a model.safetensors, or --model with --shape H W C")
    options = architecture.chosen(arguments) | {
        name: getattr(arguments, name) for name in COMMON if getattr(arguments, name) is not None
    }
    return MODELS[arguments.model](
        tuple(arguments.shape), 2 if arguments.levels is None else arguments.levels, **options
    )
