"""Trained models that come with the library, with half-precision weights, and a card that describes each of them."""

import functools
import json
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from minipixel.files import read_regular
from minipixel.models.base import Model
from minipixel.models.loading import load
from minipixel.shown import short
from minipixel.spelling import did_you_mean, spelled

BOX = Path(__file__).parent / "box"

MAX_BYTES = 2**20
"""The longest file of cards that is read."""


@dataclass(frozen=True, repr=False)
class Card:
    """Where a model that comes with the library is from, and how good it is; `print(card)` shows all of it.

    `shows` says what the model draws, and `architecture` its class and size in words. `data` is the data set that it
    learnt from, `credit` names the people who made that set, and `licence` (an SPDX identifier) is the licence of the
    set and so of the weights. `command` is the command that trained the model, for `epochs` of the `planned` epochs,
    in `hours` on two cores.
    `nats` per test image and `bits_per_dim` were measured with the weights that come with the library, which have 16
    bits. Where binary images are drawn from grey ones, they are means over `draws` draws of all test images, with the
    seeds 0, 1, ..., and `spread` is the standard deviation of the nats over these draws. `full_nats` is `nats` with
    weights of 32 bits.
    """

    name: str
    shows: str
    architecture: str
    data: str
    licence: str
    credit: str
    command: str
    epochs: int
    planned: int
    hours: float
    weights: int
    nats: float
    bits_per_dim: float
    draws: int
    spread: float
    full_nats: float

    @property
    def path(self) -> Path:
        """The file of the model, which `mp.load` can read as well."""
        return BOX / f"{self.name}.safetensors"

    def __repr__(self) -> str:
        return f"Card({self.name}: {self.architecture}, {self.bits_per_dim:.4f} bits/dim, draws {self.shows})"

    def __str__(self) -> str:
        epochs = f"{self.epochs}" if self.epochs == self.planned else f"{self.epochs} of {self.planned}"
        drawn = f", each drawn {self.draws} times (standard deviation {self.spread:.2f})" if self.draws > 1 else ""
        kilobytes = self.path.stat().st_size / 1000
        rows = {
            "model": f"{self.architecture}, {self.weights:,} weights, {kilobytes:,.0f} KB",
            "draws": self.shows,
            "test": f"{self.nats:.2f} nats per image, {self.bits_per_dim:.4f} bits/dim, on the test images of "
            f"{self.data}{drawn}; {self.full_nats:.2f} with weights of 32 bits",
            "data": f"{self.data}: {self.credit}",
            "licence": f"{self.licence}, as that of the data",
            "trained": f"{epochs} epochs, {self.hours:.1f} hours on two cores",
            "command": self.command,
        }
        lines = (textwrap.wrap(f"{name:9}{text}", 110, subsequent_indent=9 * " ") for name, text in rows.items())
        return "\n".join([self.name, *(line for wrapped in lines for line in wrapped)])


@functools.cache
def cards() -> Mapping[str, Card]:
    """The cards, by name, of the trained models that `mp.models.pretrained(name)` can load."""
    listed = json.loads(read_regular(BOX / "cards.json", MAX_BYTES))
    return MappingProxyType({name: Card(name, **card) for name, card in listed.items()})


@spelled
def pretrained(name: str) -> Model:
    """Load a trained model that comes with the library, such as mp.models.pretrained("mnist").

    `mp.models.cards()` lists these models. Each is a model like any other: it draws, scores and completes images, and
    can be trained further. Its weights have the licence of the data that it learnt from, which its card names. Raises
    ValueError for an unknown name.
    """
    if not isinstance(name, str) or name not in cards():
        raise ValueError(
            f"name: got {short(name)}, wanted one of {', '.join(cards())}{did_you_mean(name, cards())}; a file of your "
            "own is read by mp.load(path)"
        )
    model: Model = load(cards()[name].path)
    return model
