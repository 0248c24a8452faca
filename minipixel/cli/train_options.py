"""The options of `minipixel train`."""

from collections.abc import Mapping
from typing import Any

from minipixel.cli import architecture, train
from minipixel.cli.options import EPOCHS, LEARNED, SEED, WORKERS, add_data, add_device
from minipixel.cli.rates import SCHEDULES
from minipixel.datasets.preparation import CROPS
from minipixel.heads import HEADS
from minipixel.models import MODELS
from minipixel.nn import INPUTS
from minipixel.optim import OPTIMIZERS


def add_train(commands: Any, settings: Mapping[str, Any]) -> None:
    """Add the command, which uses the given settings for options that are not on the command line."""
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
    add_data(new)
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
    add_device(new)
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
