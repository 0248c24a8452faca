"""`minipixel export`: a forward pass for other runtimes."""

import argparse

from minipixel import interop
from minipixel.cli.use import output_file, read_model


def export(arguments: argparse.Namespace) -> int:
    """Write one forward pass of a model as an ONNX file, and say what goes in and what comes out."""
    out, model = output_file(arguments.out, (".onnx",)), read_model(arguments.file, arguments.own_classes)
    interop.to_onnx(model, out)
    given = ["images", *(["labels"] if model.conditions.num_classes else [])]
    given += ["condition"] if model.conditions.shape is not None else []
    print(f"{out}: {', '.join(given)} -> parameters (H, W, N, {len(model.head.groups)}) of a {model.head.name} head")
    return 0
