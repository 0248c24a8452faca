"""What is checked, in one form, and who brings it into that form.

A subject turns images (N, H, W, C) into parameters (N, H, W, P), says which colour each parameter describes, and in
which order the sub-pixels are drawn. If it has gradients it offers them. An adapter is a class of subjects that
registers itself: a new framework is one new file with one, which imports its framework when it is used, and no sooner.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from minipixel.blas_threads import one_blas_thread
from minipixel.causality.arguments import Inputs
from minipixel.computing import Block
from minipixel.models.arrays import what


class Subject:
    """What a witness needs to know of a thing that it examines.

    `order` (H, W, C) is the place in line of each sub-pixel; `groups` (P,) the colour of each parameter; with `joins` a
    colour is predicted from the parameters of earlier ones too, and from their values. `batch` is how many images it
    takes at a time, and with `fills_up` always; `has_gradients` says whether `gradient` may be called, `trains` whether
    it may have a training mode. `threads` is how many may use it at once, None for any number, and `block` what they
    work in: only what is this library's own does so without denormal numbers. `axes` is how many axes an image has
    where the thing has it: with one, places are places in a sequence. `notes` are sentences for whoever reads the
    report. Changes up to `rounding`, as a share of the largest legal one, may be no more than rounding. `kept` is how
    many bytes the way back of an image keeps, 0 if that is not known: what is asked of large images goes by it.
    """

    name: str
    image_shape: tuple[int, int, int]
    order: np.ndarray
    groups: np.ndarray
    inputs: Inputs
    batch: int
    axes = 3
    joins = False
    fills_up = False
    has_gradients = False
    trains = False
    threads: int | None = 1
    block: Block = one_blas_thread
    notes: tuple[str, ...] = ()
    rounding = 1e-5
    kept = 0

    def context(self, rng: np.random.Generator) -> Any:
        """What an image comes with, a condition say: None unless a subject has some."""
        return None

    def parameters(self, images: np.ndarray, context: Any = None, seed: int | None = None) -> np.ndarray:
        """Images (N, H, W, C) -> parameters (N, H, W, P); in training mode, with noise from `seed`, if there is one."""
        raise NotImplementedError

    def gradient(self, images: np.ndarray, seeds: np.ndarray, context: Any = None) -> np.ndarray:
        """The gradient of the sum of `seeds` (N, H, W, P) times the parameters: -> (N, H, W, C)."""
        raise NotImplementedError

    def random_image(self, rng: np.random.Generator) -> np.ndarray:
        """An image (H, W, C) of the kind that it takes, never a constant one."""
        return self.inputs.image(self.image_shape, rng)

    def shaken(self, seed: int, gently: bool) -> "Subject | None":
        """A copy of it with other weights, so that none hides a path; None if it has no weights that are known."""
        return None

    def precise(self) -> "Subject | None":
        """A copy of it that computes in float64; None if there is none, or if it does so anyway."""
        return None

    def interleaved(self) -> "Subject | None":
        """The same, its parameters read with the colours in turn; None where the colours are not guessed."""
        return None

    def frozen(self) -> "tuple[Subject, tuple[str, ...]] | None":
        """A view of it that takes statistics over the batch as in evaluation, and the layers that have some."""
        return None

    def first_seen(self, images: np.ndarray, changed: np.ndarray, place: int, seed: int | None) -> str:
        """The first layer at which a change shows at `place` or before: "'net.3' (Conv2d)"; "" if there are no layers.

        `images` and `changed` are (N, H, W, C), `place` is a pixel in raster order; -1 asks for other images instead.
        """
        return ""

    @property
    def size(self) -> int:
        """How many sub-pixels an image has, S."""
        return int(np.prod(self.image_shape))


@dataclass(frozen=True)
class Options:
    """What somebody says of a thing that does not say it itself: the arguments of `check_causality`."""

    order: Any = None
    groups: Any = None
    inputs: Any = None
    channels_first: bool | None = None
    layout: Any = None
    call: Any = None
    head: Any = None
    batch_size: Any = None

    def given(self) -> list[str]:
        """The names of those that were said, but for the order, which any subject may be told."""
        return [name for name, value in vars(self).items() if value is not None and name != "order"]


Adapter = Callable[[Any, Any, Options], "Subject | None"]
F = TypeVar("F", bound=Adapter)
_ADAPTERS: list[tuple[int, Adapter]] = []


def adapter(rank: int) -> Callable[[F], F]:
    """Register what makes a subject of a thing, its image_shape and Options, or returns None if the thing is not its.

    Those of a lower rank are asked first.
    """

    def register(make: F) -> F:
        _ADAPTERS.append((rank, make))
        _ADAPTERS.sort(key=lambda entry: entry[0])
        return make

    return register


class CallError(ValueError):
    """What is to be checked raised an error when it was called; another adapter may call it in another way."""


class NotMine(Exception):  # noqa: N818 - it is no error, and nobody but subject_of sees it
    """What a function returns is of another framework than an adapter's."""


def subject_of(thing: Any, image_shape: Any = None, order: Any = None, **options: Any) -> Subject:
    """Whatever is to be checked, as a Subject; ValueError for what cannot be meant. `options` are those of Options."""
    if isinstance(thing, Subject):
        return thing
    asked, failure = Options(order, **options), None
    for _, make in _ADAPTERS:
        try:
            subject = make(thing, image_shape, asked)
        except NotMine:
            continue
        except CallError as error:
            failure = error
            continue
        if subject is not None:
            return subject
    if failure is not None:
        raise failure
    raise ValueError(
        f"check_causality: got {what(thing)}, wanted a minipixel model, a PyTorch module, or a function from images to "
        f"parameters{'; make one of it first' if isinstance(thing, type) else ''}"
    )


def is_of(kind: type, module: str, name: str) -> bool:
    """Whether a class is derived from one of a library that need not be imported to find that out."""
    return any((base.__module__, base.__name__) == (module, name) for base in kind.__mro__)
