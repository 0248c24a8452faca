"""The commands and their options."""

import argparse
from collections.abc import Mapping
from typing import Any, NoReturn

from minipixel.cli import architecture, boxed, compare, demo, warmup
from minipixel.cli.check_options import add_check
from minipixel.cli.installation import in_one_line
from minipixel.cli.model_options import add_complete, add_evaluate, add_export, add_info, add_sample
from minipixel.cli.options import EPOCHS, SEED, WORKERS
from minipixel.cli.train_options import add_train

DESCRIPTION = (
    "Train models of the PixelCNN / PixelRNN family, draw images from them, score images with them, and check that "
    "they are causal. The exit status is 0 after success, 1 if check finds a leak or cannot decide, 2 after an error, "
    "which is explained in one line, and 130 after Ctrl-C."
)


class Help(argparse.HelpFormatter):
    """Help texts in which an architecture option shows how many values it takes."""

    def _format_args(self, action: argparse.Action, default_metavar: str) -> str:
        if isinstance(action, architecture.Values):
            return str(action.metavar)
        return super()._format_args(action, default_metavar)


class Version(argparse.Action):
    """The option --version: one line with all that the bits of a result may depend on."""

    def __call__(self, whole: argparse.ArgumentParser, *_: Any) -> None:
        """Print the line, and end the program."""
        print(in_one_line())
        whole.exit()


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
    printed = "print the version of minipixel, and the versions that its results depend on"
    whole.add_argument("--version", action=Version, nargs=0, dest=argparse.SUPPRESS, help=printed)
    commands = whole.add_subparsers(title="commands", required=True, metavar="COMMAND")

    shown = commands.add_parser(
        "demo", help="draw images with a model in the box, then train one on the bundled digits for about a minute"
    )
    shown.add_argument("--out", help="folder for the results (default: minipixel-demo, or the next free number)")
    shown.add_argument("--epochs", type=int, default=demo.EPOCHS, help=EPOCHS)
    shown.add_argument("--seed", type=int, default=0, help=SEED)
    shown.add_argument("--workers", type=int, help=WORKERS)
    shown.set_defaults(command=demo.demo)

    add_train(commands, settings)
    add_sample(commands)
    add_complete(commands)
    add_evaluate(commands)
    add_check(commands)
    add_export(commands)

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

    add_info(commands)

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
