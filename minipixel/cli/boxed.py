"""A word on the command line, `mnist` say, is a model in the box; what has a separator or a suffix is a file."""

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
    """Whether a name can be that of a model in the box: no separator, no suffix."""
    return bool(name) and not any(mark in name for mark in ("/", os.sep, "."))


def in_the_box(name: str | None) -> bool:
    """Whether a command names a model in the box by this."""
    return name is not None and is_word(name) and name in cards()


def path_of(name: str) -> str:
    """The file of the model that a command names. ValueError for a word that is neither in the box nor a file here."""
    if in_the_box(name):
        return str(cards()[name].path)
    if not is_word(name) or Path(name).exists():
        return name
    raise ValueError(
        f"model: got {visible(name)!r:.60}, wanted a file, model.safetensors say, or a model in the box: "
        f"{', '.join(cards())}{did_you_mean(name, cards())}"
    )


def data_of(arguments: argparse.Namespace) -> str:
    """The data set that a command is about: that of --data, or what the model in the box learnt from, or digits."""
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
