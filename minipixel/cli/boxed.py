"""Models in the box on the command line: a word such as `mnist` names one; a name with "/" or a suffix is a file."""

import argparse
import os
from pathlib import Path

from minipixel.errors import visible
from minipixel.models import cards
from minipixel.models.pretrained import Card
from minipixel.spelling import did_you_mean

DATA = "digits"
"""What --data is where neither the command line says it nor the card of a model in the box."""


def is_word(name: str) -> bool:
    """Whether a name can be that of a model in the box, since it has no separator and no suffix."""
    return bool(name) and not any(mark in name for mark in ("/", os.sep, "."))


def in_the_box(name: str | None) -> bool:
    """Whether a name on the command line is that of a model in the box."""
    return name is not None and is_word(name) and name in cards()


def path_of(name: str) -> str:
    """The file of the model that a command names: a file, the folder of a run, or the name of a model in the box.

    Raises ValueError for a word that names none of them, and for a folder without a model.
    """
    if in_the_box(name):
        return str(cards()[name].path)
    if Path(name).is_dir():
        file = Path(name) / "model.safetensors"
        if not file.exists():
            raise ValueError(
                f"{visible(name)}: got a folder, wanted a file, or a run's folder with model.safetensors in it"
            )
        return str(file)
    if not is_word(name) or Path(name).exists():
        return name
    raise ValueError(
        f"model: got {visible(name)!r:.60}, wanted a file, model.safetensors say, the folder of a run, or a model in "
        f"the box: {', '.join(cards())}{did_you_mean(name, cards())}"
    )


def data_of(arguments: argparse.Namespace) -> str:
    """The data set of a command: that of --data, or the one that a model in the box learnt from, or digits."""
    if arguments.data is not None:
        return str(arguments.data)
    return cards()[arguments.file].data if in_the_box(arguments.file) else DATA


def models(arguments: argparse.Namespace) -> int:
    """List the models in the box, or show the card of one."""
    if arguments.name is not None:
        if not in_the_box(arguments.name):
            raise ValueError(
                f"model: got {visible(arguments.name)!r:.60}, wanted one of {', '.join(cards())}"
                f"{did_you_mean(arguments.name, cards())}; minipixel info describes a file"
            )
        print(cards()[arguments.name])
        return 0
    width = max(map(len, cards()))
    print(f"{'':{width}}  bits/dim     nats     KB  draws")
    for card in cards().values():
        print(_line(card, width))
    first = next(iter(cards()))
    print(f"\nminipixel sample {first} -n 30    # and so for complete, evaluate, check, export, train --from")
    print(f"minipixel models {first}          # data, licence, the command that trained it")
    return 0


def _line(card: Card, width: int) -> str:
    kilobytes = card.path.stat().st_size / 1000
    return f"{card.name:{width}}  {card.bits_per_dim:8.4f} {card.nats:8.2f} {kilobytes:6.0f}  {card.shows}"
