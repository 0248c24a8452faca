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
    "The PixelCNN / PixelRNN family: train, draw, score, check. The exit status is 0; 1 if check finds a leak, or "
    "cannot tell; 2 for what cannot be done, and one line says why; 130 after Ctrl-C."
)

CHECK = (
    "Whether no output of a model depends on itself or on anything that is drawn later, and which earlier sub-pixels "
    "it never sees; with a picture. The exit status is 0 if it is causal, 1 if it leaks, or if nothing can be told, 2 "
    "for what cannot be done. A model of PyTorch or JAX, or any function of images, is named by its file: "
    "net.py:make_model is the model or the function of that name in net.py, or what a class or a function without "
    "arguments of that name makes. Its code is run, with all that you may do yourself: name no file that you do not "
    "trust."
)


SPLITS = ("train", "validation", "test", "all")

MODEL_FILE = "a model.safetensors, or the name of a model in the box, mnist say: minipixel models lists them"

OUT = "picture .png, numbers .npy, or a folder/ of pictures (default: %(default)s)"


class Help(argparse.HelpFormatter):
    """Help that shows how many values an option of an architecture is meant to have."""

    def _format_args(self, action: argparse.Action, default_metavar: str) -> str:
        if isinstance(action, architecture.Values):
            return str(action.metavar)
        return super()._format_args(action, default_metavar)


class Parser(argparse.ArgumentParser):
    """One that says what is wrong in one line, without all that there would be to choose from."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"formatter_class": Help} | options)

    def error(self, message: str) -> NoReturn:
        """Raise ValueError."""
        raise ValueError(f"{message}; see {self.prog} --help")


def parser(settings: Mapping[str, Any]) -> argparse.ArgumentParser:
    """All commands; the settings are those of a file, which `train` takes for what is not on the command line."""
    whole = Parser(prog="minipixel", description=DESCRIPTION)
    whole.add_argument("--version", action="version", version=f"minipixel {minipixel.__version__}")
    commands = whole.add_subparsers(title="commands", required=True, metavar="COMMAND")

    shown = commands.add_parser(
        "demo", help="draw with a model in the box, then train on the bundled digits for about a minute"
    )
    shown.add_argument("--out", help="folder for the results (default: minipixel-demo, or the next free number)")
    shown.add_argument("--epochs", type=int, default=demo.EPOCHS, help="default: %(default)s")
    shown.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    shown.add_argument("--workers", type=int, help="threads (default: one per core); the result does not depend on it")
    shown.set_defaults(command=demo.demo)

    new = commands.add_parser(
        "train",
        help="train a model and draw from it",
        description="Train a model, and leave a folder that explains itself: config.toml, the settings in full and "
        "what they were run with; log.csv, a row per epoch; loss.png and samples.png; model.safetensors; figures.json. "
        "minipixel info FOLDER prints it, minipixel train --config FOLDER/config.toml repeats it to the bit; one that "
        "was stopped or killed goes on to the same bits: minipixel train --resume FOLDER.",
    )
    source = new.add_mutually_exclusive_group()
    source.add_argument(
        "--config", metavar="FILE", help="take from this config.toml what is not given here (default: from nowhere)"
    )
    source.add_argument(
        "--resume", metavar="FOLDER", help="go on with the run in this folder; --epochs may ask for more of them"
    )
    new.add_argument("--model", choices=MODELS, default="pixelcnn", help="default: %(default)s")
    _add_data(new)
    new.add_argument(
        "--size",
        type=int,
        nargs="+",
        metavar="PIXELS",
        help="of a folder's pictures: a number, or H W (default: theirs)",
    )
    new.add_argument(
        "--channels", type=int, choices=(1, 3, 4), help="grey, colours, with alpha (default: as many as they need)"
    )
    new.add_argument("--crop", choices=CROPS, help="of pictures of another shape (default: centre)")
    new.add_argument("--background", metavar="COLOUR", help="what transparent pictures are put on, white say")
    new.add_argument(
        "--test-share", type=float, metavar="SHARE", help="of a folder's pictures, chosen by content (default: 0.1)"
    )
    new.add_argument(
        "--augment",
        metavar="LIST",
        help="change each batch: flip,shift=2,crop=0.8 or some of them",
    )
    new.add_argument("--levels", type=int, help="2 binarises, others cut the range evenly (default: all)")
    new.add_argument("--epochs", type=int, default=10, help="default: %(default)s")
    new.add_argument(
        "--patience",
        type=int,
        metavar="EPOCHS",
        help="stop after so many epochs without a new best on the validation images, and keep the weights of the best "
        "one (default: never, and keep the last)",
    )
    new.add_argument(
        "--from",
        metavar="MODEL",
        help="begin with the weights of this model.safetensors, or model in the box, and be like it (default: do not)",
    )
    new.add_argument("--batch-size", type=int, default=64, help="default: %(default)s")
    new.add_argument("--optimizer", choices=OPTIMIZERS, default="adam", help="default: %(default)s")
    new.add_argument("--learning-rate", type=float, help="default: the optimizer's own, 0.001 for adam")
    new.add_argument(
        "--schedule",
        choices=SCHEDULES,
        default="constant",
        help="of the learning rate over all epochs: cosine, half a wave down to 0; exponential, by the same factor "
        "each step, down to a hundredth (default: %(default)s)",
    )
    new.add_argument("--clip-norm", type=float, help="scale gradients down to this norm (default: never)")
    new.add_argument("--weight-decay", type=float, help="of adamw: how fast weights shrink (default: 0.01)")
    new.add_argument(
        "--trainable", nargs="+", metavar="NAME", help="train these weights or layers alone, top say (default: all)"
    )
    new.add_argument(
        "--sample-weight",
        metavar="FILE",
        help="a .npy of numbers: how much each training image counts (default: alike)",
    )
    new.add_argument("--ema", type=float, metavar="DECAY", help="average the weights, 0.9995 say (default: do not)")
    new.add_argument(
        "--head", choices=HEADS, help="default: bernoulli for 2 levels, else categorical; pixelcnnpp: logistic_mixture"
    )
    new.add_argument("--mixtures", type=int, default=5, help="components of a mixture head (default: %(default)s)")
    new.add_argument(
        "--inputs",
        choices=INPUTS,
        default="scaled",
        help="what is read of a level: its brightness, or its name, for codes, in two ways (default: %(default)s)",
    )
    new.add_argument(
        "--embedding-width", type=int, default=16, help="learned numbers a level, of --inputs embedding (default: 16)"
    )
    new.add_argument("--conditional", action="store_true", help="tell the model each image's class")
    new.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    new.add_argument("--workers", type=int, help="threads (default: one per core); the result does not depend on it")
    new.add_argument(
        "--save-freq", type=int, metavar="STEPS", help="a checkpoint this often, besides one per epoch (default: no)"
    )
    new.add_argument("--sample-every", type=int, metavar="EPOCHS", help="draw images into OUT/samples this often")
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
        description="Draw images from a trained model: as one picture, as a picture each, or as numbers. On request "
        "also as an animation, in which they grow, and above the training images that they are most like. After Ctrl-C "
        "all of this is made of the images that are drawn by then.",
    )
    drawn.add_argument("file", metavar="MODEL", help=MODEL_FILE)
    drawn.add_argument("-n", type=int, default=30, help="how many (default: %(default)s)")
    drawn.add_argument("--label", help="the class to draw, its name or number (default: all in turn)")
    _add_drawing(drawn)
    drawn.add_argument("--out", default="samples.png", help=OUT)
    drawn.add_argument("--grid", type=int, metavar="COLUMNS", help="how many stand side by side (default: 10)")
    drawn.add_argument(
        "--animate",
        metavar="FILE",
        help="also show them growing in the order in which they are drawn: a .gif, or an animated .png",
    )
    drawn.add_argument(
        "--nearest",
        metavar="PNG",
        help="are they copies? a picture .png of each above the training images nearest to it, and in numbers how near "
        "that is, beside what it is for validation images",
    )
    _add_class(drawn)
    _add_data(drawn.add_argument_group("the training images of --nearest"), of_a_model=True)
    drawn.set_defaults(command=sample.sample)

    complete = commands.add_parser(
        "complete",
        help="keep the upper rows of pictures, and draw the rest",
        description="Keep the upper rows of one's own pictures, else of some validation images, and draw the rest "
        "several times. The picture has a column for each: what was kept, the completions, the real image. Only "
        "earlier pixels, in the model's order, steer a drawn one; a kept pixel that comes later in that order stays, "
        "but nothing is drawn to suit it, unless --particles says so.",
    )
    complete.add_argument("file", metavar="MODEL", help=MODEL_FILE)
    complete.add_argument("pictures", nargs="*", help="picture files, or folders of them, in place of --data")
    complete.add_argument("--label", help="the class of these pictures, its name or number, for a conditional model")
    _add_data(complete, of_a_model=True)
    complete.add_argument("-n", type=int, help="how many (default: 10 validation images, or all the pictures)")
    kept = complete.add_mutually_exclusive_group()
    kept.add_argument("--rows", type=int, help="how many rows to keep (default: half of them)")
    kept.add_argument(
        "--hole",
        type=int,
        nargs=4,
        metavar=("ROW", "COLUMN", "HEIGHT", "WIDTH"),
        help="keep all but this box: its first row and column, counted from 0, and its size",
    )
    complete.add_argument(
        "--particles",
        type=int,
        default=1,
        help="of so many drawings side by side take one that suits what is kept further on, too: 64, say; it takes as "
        "many times as long (default: %(default)s)",
    )
    complete.add_argument("--times", type=int, default=4, help="completions of each image (default: %(default)s)")
    _add_drawing(complete)
    complete.add_argument("--out", default="completed.png", help=OUT)
    _add_class(complete)
    complete.set_defaults(command=use.complete, split="validation")

    scored = commands.add_parser("evaluate", help="nats per image and bits/dim of a trained model on a data set")
    scored.add_argument("file", metavar="MODEL", help=MODEL_FILE)
    scored.add_argument("--images", nargs="+", metavar="FILE", help="pictures, or folders of them, in place of --data")
    scored.add_argument("--label", help="the class of --images, its name or number, for a conditional model")
    _add_data(scored, of_a_model=True)
    scored.add_argument("--split", choices=SPLITS, default="test", help="default: %(default)s")
    scored.add_argument(
        "--csv",
        metavar="FILE",
        help="also write a table .csv, one line per picture, most surprising first: file, label, nats, bits/dim, rank",
    )
    scored.add_argument(
        "--score",
        action="store_true",
        help="find odd pictures, busy or blank: rank them by nats less the size that zlib compresses them to, and name "
        "the first; --csv has that as score",
    )
    scored.add_argument(
        "--accuracy", action="store_true", help="also how many sub-pixels are the likeliest, given those before them"
    )
    scored.add_argument(
        "--probabilities", metavar="NPY", help="write p of every level of every sub-pixel: float64 (N, H, W, C, Q)"
    )
    _add_class(scored)
    scored.set_defaults(command=evaluate.evaluate)

    _add_check(
        commands.add_parser("check", help="whether a model is causal, and what it is blind to", description=CHECK)
    )

    written = commands.add_parser(
        "export",
        help="a forward pass as an ONNX file",
        description="Write one forward pass of a model as an ONNX file, which other programs run: integer images in, "
        'the parameters of its head out. Needs onnx: pip install "minipixel[onnx]".',
    )
    written.add_argument("file", metavar="MODEL", help=MODEL_FILE)
    written.add_argument("--out", default="model.onnx", help="default: %(default)s")
    _add_class(written)
    written.set_defaults(command=export.export)

    several = commands.add_parser(
        "compare",
        help="several runs side by side: a table, and one figure",
        description="Runs of train side by side, the best on the validation images first: what differs in their "
        "settings, and the best epoch of each; and a figure of their validation curves.",
    )
    several.add_argument("runs", nargs="+", metavar="RUN", help="a folder that train left")
    several.add_argument("--out", default="compare.png", help="picture .png (default: %(default)s)")
    several.set_defaults(command=compare.compare)

    info = commands.add_parser(
        "info", help="what is in a model file, in the folder of a run, or what minipixel runs on"
    )
    info.add_argument("file", nargs="?", metavar="MODEL", help=f"{MODEL_FILE}; or a folder that train left")
    _add_class(info)
    info.set_defaults(command=use.info)

    box = commands.add_parser(
        "models",
        help="the trained models in the box",
        description="List the models that are installed with minipixel, trained: what each draws, how well it does on "
        "test images, its size; or show the card of one: data, licence, the command that trained it.",
    )
    box.add_argument("name", nargs="?", help="show the card of this one")
    box.set_defaults(command=boxed.models)

    warm = commands.add_parser("warmup", help="compile everything now, so that no first step has to wait for it")
    warm.set_defaults(command=warmup.warmup)
    return whole


def _add_check(causal: argparse.ArgumentParser) -> None:
    causal.add_argument(
        "file",
        nargs="?",
        metavar="MODEL",
        help=f"{MODEL_FILE}; or FILE.py:NAME or MODULE:NAME, code of your own, which is run; or give --model",
    )
    causal.add_argument("--model", choices=MODELS, help="check one as it is made, before any training")
    causal.add_argument(
        "--shape",
        type=int,
        nargs="+",
        metavar="SIZE",
        help="of an image, in the layout of what is checked: H W C for --model; for code of your own C H W, channels "
        "first, of a PyTorch module, and H W C of a function; H W without an axis of channels, S for sequences",
    )
    causal.add_argument("--levels", type=int, help="of the images of --model (default: 2)")
    causal.add_argument(
        "--head",
        choices=HEADS,
        help="of --model (default: bernoulli for 2 levels, else categorical); for code of your own logistic_mixture "
        "says that colours are joined in the head, as in PixelCNN++",
    )
    causal.add_argument("--mixtures", type=int, help="components of a mixture head of --model (default: 5)")
    causal.add_argument(
        "--inputs",
        nargs="+",
        metavar="WORD",
        help=f"for --model what is read of a level, {', '.join(INPUTS)} (default: scaled); for code of your own DTYPE "
        "LOWEST HIGHEST, the images that it takes (default: float32 -1 1), int64 0 255 say for codes",
    )
    causal.add_argument("--embedding-width", type=int, help="learned numbers a level of --model (default: 16)")
    causal.add_argument(
        "--order",
        choices=("raster", "pixels", "rgb-planes"),
        help="in which it draws: sub-pixel by sub-pixel, all colours of a pixel at once, or all of red before green "
        "(default: raster, or the model's own)",
    )
    causal.add_argument(
        "--layout",
        help="how the output of code of your own is laid out, if its shape does not say it: NCHWQ, N(QC)HW, ...; "
        "docs/causality.md explains the letters",
    )
    channels = causal.add_mutually_exclusive_group()
    for first, where in ((True, "first"), (False, "last")):
        channels.add_argument(
            f"--channels-{where}",
            dest="channels_first",
            action="store_const",
            const=first,
            help=f"images of code of your own have their channels {where}, and so has --shape",
        )
    causal.add_argument("--batch-size", type=int, metavar="N", help="code of your own takes so many images, always")
    causal.add_argument(
        "--tolerance",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="changes up to this share of the largest legal one are no leak, 1e-6 say (default: every bit counts)",
    )
    causal.add_argument("--modes", nargs="+", choices=MODES, help="to look at (default: both)")
    causal.add_argument("--images", type=int, default=4, help="how many to try, at least (default: %(default)s)")
    causal.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    causal.add_argument(
        "--out", "--plot", default="causality.png", metavar="PNG", help="picture .png (default: %(default)s)"
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
        help="a model class of your own that the file may be of, mine:Squared for the class Squared in mine.py",
    )


def _add_drawing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--temperature",
        type=float,
        default=1.0,
        help="below 1 keeps to what is likely; 0 takes the likeliest level of each sub-pixel (default: %(default)s)",
    )
    parser.add_argument(
        "--method",
        choices=SAMPLERS,
        default="auto",
        help="how, not what: all draw the same images, naive by a forward pass a sub-pixel, cached by computing each "
        "value once, wavefront a slanted line at a time; auto takes the fastest that holds (default)",
    )
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")


def _add_data(parser: argparse._ActionsContainer, *, of_a_model: bool = False) -> None:
    """The options that name a data set; of a trained model's by default what it learnt from, if that is in the box."""
    parser.add_argument(
        "--data",
        default=None if of_a_model else boxed.DATA,
        help=f"{', '.join(DATASETS)}; or a folder of pictures, whose subfolders are classes; or images (N, H, W, C) in "
        f"a .npy or .npz file (default: {'of a model in the box its own data, else ' * of_a_model}{boxed.DATA})",
    )
    parser.add_argument("--root", help="folder with its files (default: $MINIPIXEL_DATA, then a cache)")
    parser.add_argument(
        "--binarize",
        choices=config.BINARIZE,
        default="static",
        help="2 levels: drawn once, anew for every batch, or cut at the middle (default: %(default)s)",
    )
