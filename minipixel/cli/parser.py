"""The commands and their options."""

import argparse
from collections.abc import Mapping
from typing import Any, NoReturn

import minipixel
from minipixel.causality.check import MODES
from minipixel.cli import (
    architecture,
    boxed,
    check,
    compare,
    config,
    demo,
    evaluate,
    export,
    sample,
    train,
    use,
    warmup,
)
from minipixel.cli.rates import SCHEDULES
from minipixel.datasets import DATASETS
from minipixel.datasets.preparation import CROPS
from minipixel.heads import HEADS
from minipixel.models import MODELS
from minipixel.nn import INPUTS
from minipixel.optim import OPTIMIZERS
from minipixel.sampling import SAMPLERS

DESCRIPTION = (
    "Train models of the PixelCNN / PixelRNN family, draw images from them, score images with them, and check that "
    "they are causal. The exit status is 0 after success, 1 if check finds a leak or cannot decide, 2 after an error, "
    "which is explained in one line, and 130 after Ctrl-C."
)

CHECK = (
    "Check that no output of a model depends on itself or on anything that is drawn later, and list the earlier "
    "sub-pixels that it never sees, with a picture. The exit status is 0 if the model is causal, 1 if it leaks or if "
    "the check cannot decide, and 2 after an error. A model of PyTorch or JAX, or any function of images, is given by "
    "its file: net.py:make_model means the name make_model in net.py, which is a model, a function of images, or a "
    "class or function without arguments that returns one of these. Its code is run, and may do everything that you "
    "may do: name no file that you do not trust."
)


SPLITS = ("train", "validation", "test", "all")

MODEL_FILE = (
    "a file model.safetensors, or the name of a model in the box, such as mnist (minipixel models lists these models)"
)

OUT = "where the images go: a picture .png, numbers .npy, or a folder/ of pictures (default: %(default)s)"

EPOCHS = "passes over the training images (default: %(default)s)"

WORKERS = "number of threads (default: one per core); the result does not depend on it"

SEED = "the seed of all random numbers (default: %(default)s)"

LEARNED = "how many numbers are learned for each level with --inputs embedding (default: 16)"


class Help(argparse.HelpFormatter):
    """Help texts in which an architecture option shows how many values it takes."""

    def _format_args(self, action: argparse.Action, default_metavar: str) -> str:
        if isinstance(action, architecture.Values):
            return str(action.metavar)
        return super()._format_args(action, default_metavar)


class Parser(argparse.ArgumentParser):
    """A parser that reports an error in one line, without a list of all options."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"formatter_class": Help} | options)

    def error(self, message: str) -> NoReturn:
        """Raise ValueError."""
        raise ValueError(f"{message}; see {self.prog} --help")


def parser(settings: Mapping[str, Any]) -> argparse.ArgumentParser:
    """The parser of all commands. `train` uses the given settings for options that are not on the command line."""
    whole = Parser(prog="minipixel", description=DESCRIPTION)
    whole.add_argument("--version", action="version", version=f"minipixel {minipixel.__version__}")
    commands = whole.add_subparsers(title="commands", required=True, metavar="COMMAND")

    shown = commands.add_parser(
        "demo", help="draw images with a model in the box, then train one on the bundled digits for about a minute"
    )
    shown.add_argument("--out", help="folder for the results (default: minipixel-demo, or the next free number)")
    shown.add_argument("--epochs", type=int, default=demo.EPOCHS, help=EPOCHS)
    shown.add_argument("--seed", type=int, default=0, help=SEED)
    shown.add_argument("--workers", type=int, help=WORKERS)
    shown.set_defaults(command=demo.demo)

    new = commands.add_parser(
        "train",
        help="train a model and draw from it",
        description="Train a model, and write the results into a folder: config.toml with all settings, the data and "
        "the versions used; log.csv with one row per epoch; loss.png and samples.png; model.safetensors; figures.json. "
        "minipixel info FOLDER prints a summary, and minipixel train --config FOLDER/config.toml repeats the training "
        "to the bit. A training that was stopped or killed continues, to the same bits, with minipixel train --resume "
        "FOLDER.",
    )
    source = new.add_mutually_exclusive_group()
    source.add_argument(
        "--config", metavar="FILE", help="take the settings that are not given here from this config.toml"
    )
    source.add_argument(
        "--resume", metavar="FOLDER", help="continue the training in this folder; --epochs may ask for more epochs"
    )
    new.add_argument("--model", choices=MODELS, default="pixelcnn", help="the model to train (default: %(default)s)")
    _add_data(new)
    new.add_argument(
        "--size",
        type=int,
        nargs="+",
        metavar="PIXELS",
        help="the size to which a folder's pictures are scaled, one number or H W (default: the size that they have)",
    )
    new.add_argument(
        "--channels",
        type=int,
        choices=(1, 3, 4),
        help="channels of a folder's pictures: 1 grey, 3 colours, 4 with alpha (default: as many as the pictures need)",
    )
    new.add_argument(
        "--crop", choices=CROPS, help="how a folder's pictures of another shape are fitted to --size (default: centre)"
    )
    new.add_argument(
        "--background", metavar="COLOUR", help="the colour that shows through transparent pictures, such as white"
    )
    new.add_argument(
        "--test-share",
        type=float,
        metavar="SHARE",
        help="the share of a folder's pictures that become test images; their content decides which (default: 0.1)",
    )
    new.add_argument(
        "--augment",
        metavar="LIST",
        help="change the images of each batch at random: flip,shift=2,crop=0.8 or some of these",
    )
    new.add_argument(
        "--levels",
        type=int,
        help="how many levels sub-pixels have: 2 binarises them, more cut the range evenly (default: all that there "
        "are)",
    )
    new.add_argument("--epochs", type=int, default=10, help=EPOCHS)
    new.add_argument(
        "--patience",
        type=int,
        metavar="EPOCHS",
        help="stop after so many epochs without a new best on the validation images, and keep the weights of the best "
        "epoch (default: do not stop, and keep the last weights)",
    )
    new.add_argument(
        "--from",
        metavar="MODEL",
        help="begin with the weights of this model.safetensors, or model in the box, and with its architecture",
    )
    new.add_argument("--batch-size", type=int, default=64, help="images per step (default: %(default)s)")
    new.add_argument("--optimizer", choices=OPTIMIZERS, default="adam", help="default: %(default)s")
    new.add_argument("--learning-rate", type=float, help="default: the optimizer's own, which is 0.001 for adam")
    new.add_argument(
        "--schedule",
        choices=SCHEDULES,
        default="constant",
        help="how the learning rate changes over all epochs: cosine falls to 0 along half a wave; exponential falls by "
        "the same factor at each step, to a hundredth in all (default: %(default)s)",
    )
    new.add_argument(
        "--clip-norm", type=float, help="scale gradients down to this norm where theirs is larger (default: never)"
    )
    new.add_argument("--weight-decay", type=float, help="for adamw: how fast weights shrink (default: 0.01)")
    new.add_argument(
        "--trainable",
        nargs="+",
        metavar="NAME",
        help="train only these weights or layers, such as top (default: all)",
    )
    new.add_argument(
        "--sample-weight",
        metavar="FILE",
        help="a .npy file of one number per training image: how much it counts (default: all count alike)",
    )
    new.add_argument(
        "--ema",
        type=float,
        metavar="DECAY",
        help="average the weights over all steps with this decay, such as 0.9995 (default: do not)",
    )
    new.add_argument(
        "--head",
        choices=HEADS,
        help="the distribution of a sub-pixel (default: bernoulli for 2 levels, else categorical; for pixelcnnpp "
        "logistic_mixture)",
    )
    new.add_argument(
        "--mixtures", type=int, default=5, help="number of components of a mixture head (default: %(default)s)"
    )
    new.add_argument(
        "--inputs",
        choices=INPUTS,
        default="scaled",
        help="how the model reads a level: scaled, as a number, for brightness; one_hot or embedding for codes "
        "(default: %(default)s)",
    )
    new.add_argument("--embedding-width", type=int, default=16, help=LEARNED)
    new.add_argument("--conditional", action="store_true", help="condition the model on the class of each image")
    new.add_argument("--seed", type=int, default=0, help=SEED)
    new.add_argument("--workers", type=int, help=WORKERS)
    new.add_argument(
        "--save-freq",
        type=int,
        metavar="STEPS",
        help="write a checkpoint after every so many steps, besides one per epoch",
    )
    new.add_argument(
        "--sample-every", type=int, metavar="EPOCHS", help="draw images into OUT/samples after every so many epochs"
    )
    new.add_argument(
        "--tensorboard",
        action="store_true",
        help="also write OUT/tensorboard, with images as often as --sample-every says; needs tensorboardX",
    )
    new.add_argument("--out", help="folder for the results (default: runs/DATA-MODEL, or the next free number)")
    architecture.add_arguments(new)
    new.set_defaults(**{"command": train.train, "made_with": {}, **settings})

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
    _add_drawing(drawn)
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
    _add_class(drawn)
    _add_data(drawn.add_argument_group("the training images of --nearest"), of_a_model=True)
    drawn.set_defaults(command=sample.sample)

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
    _add_data(complete, of_a_model=True)
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
    _add_drawing(complete)
    complete.add_argument("--out", default="completed.png", help=OUT)
    _add_class(complete)
    complete.set_defaults(command=use.complete, split="validation")

    scored = commands.add_parser("evaluate", help="measure nats per image and bits/dim of a model on a data set")
    scored.add_argument("file", metavar="MODEL", help=MODEL_FILE)
    scored.add_argument("--images", nargs="+", metavar="FILE", help="pictures, or folders of them, in place of --data")
    scored.add_argument("--label", help="the class of --images, by name or number, for a conditional model")
    _add_data(scored, of_a_model=True)
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
    _add_class(scored)
    scored.set_defaults(command=evaluate.evaluate)

    _add_check(
        commands.add_parser("check", help="check that a model is causal, and find its blind spots", description=CHECK)
    )

    written = commands.add_parser(
        "export",
        help="write the forward pass of a model as an ONNX file",
        description="Write the forward pass of a model as an ONNX file, which other programs can run. It takes integer "
        'images and returns the parameters of the head. This needs onnx: pip install "minipixel[onnx]".',
    )
    written.add_argument("file", metavar="MODEL", help=MODEL_FILE)
    written.add_argument("--out", default="model.onnx", help="the file to write (default: %(default)s)")
    _add_class(written)
    written.set_defaults(command=export.export)

    several = commands.add_parser(
        "compare",
        help="compare several runs in a table and in one figure",
        description="Compare several runs of train. The table lists them with the best on the validation images first, "
        "and shows the settings in which they differ and the best epoch of each. The figure has their validation "
        "curves.",
    )
    several.add_argument("runs", nargs="+", metavar="RUN", help="a folder that train wrote")
    several.add_argument("--out", default="compare.png", help="the figure, .png (default: %(default)s)")
    several.set_defaults(command=compare.compare)

    info = commands.add_parser(
        "info", help="describe a model file, the folder of a run, or this installation of minipixel"
    )
    info.add_argument(
        "file",
        nargs="?",
        metavar="MODEL",
        help=f"{MODEL_FILE}; or a folder that train wrote (default: describe the installation)",
    )
    _add_class(info)
    info.set_defaults(command=use.info)

    box = commands.add_parser(
        "models",
        help="list the trained models in the box",
        description="List the trained models that are installed with minipixel (the models in the box): what each "
        "draws, how good it is on test images, and its size. With a name, show the card of that model: its data, its "
        "licence, and the command that trained it.",
    )
    box.add_argument("name", nargs="?", help="show the card of this model")
    box.set_defaults(command=boxed.models)

    warm = commands.add_parser("warmup", help="compile all kernels now, so that no first step has to wait for them")
    warm.set_defaults(command=warmup.warmup)
    return whole


def _add_check(causal: argparse.ArgumentParser) -> None:
    causal.add_argument(
        "file",
        nargs="?",
        metavar="MODEL",
        help=f"{MODEL_FILE}; or FILE.py:NAME or MODULE:NAME, code of your own, which is run; or use --model",
    )
    causal.add_argument("--model", choices=MODELS, help="check a new model of this kind, before any training")
    causal.add_argument(
        "--shape",
        type=int,
        nargs="+",
        metavar="SIZE",
        help="the shape of an image: H W C for --model and for a function of your own; C H W, channels first, for a "
        "PyTorch module; H W without an axis of channels, S for sequences",
    )
    causal.add_argument("--levels", type=int, help="the number of levels for --model (default: 2)")
    causal.add_argument(
        "--head",
        choices=HEADS,
        help="the head of --model (default: bernoulli for 2 levels, else categorical); for code of your own, "
        "logistic_mixture means that the head joins the colours, as in PixelCNN++",
    )
    causal.add_argument("--mixtures", type=int, help="number of components of a mixture head for --model (default: 5)")
    causal.add_argument(
        "--inputs",
        nargs="+",
        metavar="WORD",
        help=f"for --model: how it reads a level, {', '.join(INPUTS)} (default: scaled); for code of your own: DTYPE "
        "LOWEST HIGHEST, the kind of images that it takes, such as int64 0 255 for codes (default: float32 -1 1)",
    )
    causal.add_argument("--embedding-width", type=int, help=LEARNED)
    causal.add_argument(
        "--order",
        choices=("raster", "pixels", "rgb-planes"),
        help="the order of drawing: sub-pixel by sub-pixel, all colours of a pixel at once, or all of red before green "
        "(default: raster, or the model's own order)",
    )
    causal.add_argument(
        "--layout",
        help="the axes of the output of your own code, where its shape is not enough: NCHWQ, N(QC)HW, ...; "
        "docs/causality.md explains the letters",
    )
    channels = causal.add_mutually_exclusive_group()
    for first, where in ((True, "first"), (False, "last")):
        channels.add_argument(
            f"--channels-{where}",
            dest="channels_first",
            action="store_const",
            const=first,
            help=f"images of your own code, and --shape, have their channels {where}",
        )
    causal.add_argument("--batch-size", type=int, metavar="N", help="call your own code with so many images each time")
    causal.add_argument(
        "--tolerance",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="changes up to this share of the largest legal change, such as 1e-6, are no leak (default: every bit "
        "counts)",
    )
    causal.add_argument("--modes", nargs="+", choices=MODES, help="the modes to check (default: both)")
    causal.add_argument(
        "--images", type=int, default=4, help="try at least so many random images (default: %(default)s)"
    )
    causal.add_argument("--seed", type=int, default=0, help=SEED)
    causal.add_argument(
        "--out", "--plot", default="causality.png", metavar="PNG", help="the figure, .png (default: %(default)s)"
    )
    architecture.add_arguments(causal)
    _add_class(causal)
    causal.set_defaults(command=check.check)


def _add_class(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--class",
        dest="own_classes",
        action="append",
        default=[],
        metavar="MODULE:NAME",
        help="a model class of your own that the file may need: mine:Squared for the class Squared in mine.py",
    )


def _add_drawing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--temperature",
        type=float,
        default=1.0,
        help="below 1 likely levels are drawn more often; at 0 each sub-pixel takes its likeliest level (default: "
        "%(default)s)",
    )
    parser.add_argument(
        "--method",
        choices=SAMPLERS,
        default="auto",
        help="all methods draw the same images: naive runs one forward pass per sub-pixel, cached computes each value "
        "once, wavefront does so for slanted lines of pixels; auto takes the fastest that works (default)",
    )
    parser.add_argument("--seed", type=int, default=0, help=SEED)


def _add_data(parser: argparse._ActionsContainer, *, of_a_model: bool = False) -> None:
    """Add the options that name a data set; with a model in the box, the default is the data that it learnt from."""
    parser.add_argument(
        "--data",
        default=None if of_a_model else boxed.DATA,
        help=f"{', '.join(DATASETS)}; or a folder of pictures, whose subfolders are classes; or images (N, H, W, C) in "
        f"a .npy or .npz file (default: {'for a model in the box its own data, else ' * of_a_model}{boxed.DATA})",
    )
    parser.add_argument("--root", help="the folder with its files (default: $MINIPIXEL_DATA, then the user's cache)")
    parser.add_argument(
        "--binarize",
        choices=config.BINARIZE,
        default="static",
        help="how images become binary for 2 levels: drawn once, drawn anew for every batch, or cut at the middle "
        "(default: %(default)s)",
    )
