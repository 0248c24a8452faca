"""The options of the commands that use a trained model: sample, complete, evaluate, export and info."""

from typing import Any

from minipixel.cli import evaluate, export, sample, use
from minipixel.cli.options import MODEL_FILE, OUT, SPLITS, add_class, add_data, add_device, add_drawing


def add_sample(commands: Any) -> None:
    """Add the command that draws images."""
    drawn = commands.add_parser(
        "sample",
        help="draw images from a trained model",
        description="Draw images from a trained model, and write them as one picture, as one picture per image, or as "
        "numbers. On request, also write an animation in which they grow, and a picture with the most similar training "
        "images below them. After Ctrl-C all of this is written for the images that have been drawn.",
    )
    drawn.add_argument("file", metavar="MODEL", help=MODEL_FILE)
    drawn.add_argument("-n", type=int, default=30, help="how many images (default: %(default)s)")
    drawn.add_argument("--label", help="the class to draw, by name or number (default: all classes in turn)")
    add_drawing(drawn)
    drawn.add_argument("--out", default="samples.png", help=OUT)
    drawn.add_argument("--grid", type=int, metavar="COLUMNS", help="how many images stand side by side (default: 10)")
    drawn.add_argument(
        "--animate",
        metavar="FILE",
        help="also write an animation, .gif or .png, in which the images grow in the order in which they are drawn",
    )
    drawn.add_argument(
        "--nearest",
        metavar="PNG",
        help="see whether the images are copies: write a picture .png of each above its nearest training images, and "
        "print the distances, with those of validation images to compare",
    )
    add_class(drawn)
    add_data(drawn.add_argument_group("the training images of --nearest"), of_a_model=True)
    drawn.set_defaults(command=sample.sample)


def add_complete(commands: Any) -> None:
    """Add the command that draws the rest of pictures."""
    complete = commands.add_parser(
        "complete",
        help="keep the upper rows of pictures, and draw the rest",
        description="Keep the upper rows of your own pictures, or of some validation images, and draw the rest several "
        "times. The resulting picture has one column per image: the kept part, the completions, and the real image. "
        "Only earlier pixels, in the model's order, influence a drawn one; a kept pixel that comes later in that order "
        "stays, but nothing is drawn to fit it, unless you set --particles.",
    )
    complete.add_argument("file", metavar="MODEL", help=MODEL_FILE)
    complete.add_argument("pictures", nargs="*", help="picture files, or folders of them, in place of --data")
    complete.add_argument("--label", help="the class of these pictures, by name or number, for a conditional model")
    add_data(complete, of_a_model=True)
    complete.add_argument("-n", type=int, help="how many images (default: 10 validation images, or all the pictures)")
    kept = complete.add_mutually_exclusive_group()
    kept.add_argument("--rows", type=int, help="how many rows to keep (default: half of them)")
    kept.add_argument(
        "--hole",
        type=int,
        nargs=4,
        metavar=("ROW", "COLUMN", "HEIGHT", "WIDTH"),
        help="keep everything outside this box, given by its first row and column, counted from 0, and its size",
    )
    complete.add_argument(
        "--particles",
        type=int,
        default=1,
        help="draw so many versions of each completion, 64 say, and choose one that also fits kept pixels which come "
        "later; this takes so many times as long (default: %(default)s)",
    )
    complete.add_argument("--times", type=int, default=4, help="completions per image (default: %(default)s)")
    add_drawing(complete)
    complete.add_argument("--out", default="completed.png", help=OUT)
    add_class(complete)
    complete.set_defaults(command=use.complete, split="validation")


def add_evaluate(commands: Any) -> None:
    """Add the command that scores images."""
    scored = commands.add_parser("evaluate", help="measure nats per image and bits/dim of a model on a data set")
    scored.add_argument("file", metavar="MODEL", help=MODEL_FILE)
    scored.add_argument("--images", nargs="+", metavar="FILE", help="pictures, or folders of them, in place of --data")
    scored.add_argument("--label", help="the class of --images, by name or number, for a conditional model")
    add_data(scored, of_a_model=True)
    scored.add_argument("--split", choices=SPLITS, default="test", help="which images (default: %(default)s)")
    scored.add_argument(
        "--csv",
        metavar="FILE",
        help="also write a table .csv with one line per picture, the least likely first: file, label, nats, bits/dim, "
        "rank",
    )
    scored.add_argument(
        "--score",
        action="store_true",
        help="find odd pictures: rank them by nats less the size to which zlib compresses them, and name the first; "
        "--csv has this number as score",
    )
    scored.add_argument(
        "--accuracy",
        action="store_true",
        help="also print the share of sub-pixels that have their likeliest level given those before them",
    )
    scored.add_argument(
        "--probabilities",
        metavar="NPY",
        help="also write the probability of every level of every sub-pixel: float64 (N, H, W, C, Q)",
    )
    add_device(scored)
    add_class(scored)
    scored.set_defaults(command=evaluate.evaluate)


def add_export(commands: Any) -> None:
    """Add the command that writes an ONNX file."""
    written = commands.add_parser(
        "export",
        help="write the forward pass of a model as an ONNX file",
        description="Write the forward pass of a model as an ONNX file, which other programs can run. It takes integer "
        'images and returns the parameters of the head. This needs onnx: pip install "minipixel[onnx]".',
    )
    written.add_argument("file", metavar="MODEL", help=MODEL_FILE)
    written.add_argument("--out", default="model.onnx", help="the file to write (default: %(default)s)")
    add_class(written)
    written.set_defaults(command=export.export)


def add_info(commands: Any) -> None:
    """Add the command that describes models, runs and the installation."""
    info = commands.add_parser(
        "info", help="describe a model file, the folder of a run, or this installation of minipixel"
    )
    info.add_argument(
        "file",
        nargs="?",
        metavar="MODEL",
        help=f"{MODEL_FILE}; or a folder that train wrote (default: describe the installation)",
    )
    add_class(info)
    info.set_defaults(command=use.info)
