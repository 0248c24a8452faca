"""What several commands have in common: the words of their help, and the options that name models and data."""

import argparse

from minipixel.backend import DEVICES
from minipixel.cli import boxed, config
from minipixel.datasets import DATASETS
from minipixel.sampling import SAMPLERS

SPLITS = ("train", "validation", "test", "all")

MODEL_FILE = (
    "a file model.safetensors, or the name of a model in the box, such as mnist (minipixel models lists these models)"
)

OUT = "where the images go: a picture .png, numbers .npy, or a folder/ of pictures (default: %(default)s)"

EPOCHS = "passes over the training images (default: %(default)s)"

WORKERS = "number of threads (default: one per core); the result does not depend on it"

DEVICE = "where to compute: cpu, or cuda for an NVIDIA GPU, which takes CuPy (default: %(default)s)"

SEED = "the seed of all random numbers (default: %(default)s)"

LEARNED = "how many numbers are learned for each level with --inputs embedding (default: 16)"


def add_class(parser: argparse.ArgumentParser) -> None:
    """Add the option that names a model class of one's own."""
    parser.add_argument(
        "--class",
        dest="own_classes",
        action="append",
        default=[],
        metavar="MODULE:NAME",
        help="a model class of your own that the file may need: mine:Squared for the class Squared in mine.py",
    )


def add_device(parser: argparse._ActionsContainer) -> None:
    """Add the option that says where a model computes."""
    parser.add_argument("--device", choices=DEVICES, default="cpu", help=DEVICE)


def add_drawing(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how to draw."""
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
    parser.add_argument("--device", choices=DEVICES, default="cpu", help=f"{DEVICE}; --method auto draws on the host")


def add_data(parser: argparse._ActionsContainer, *, of_a_model: bool = False) -> None:
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
