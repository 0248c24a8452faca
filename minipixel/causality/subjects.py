"""The class Subject, the common form of everything that is checked, and the adapters that bring it into that form.

A subject turns images (N, H, W, C) into parameters (N, H, W, P). It has the colour of each parameter and the order in
which sub-pixels are drawn, and it may have gradients. An adapter is a subclass that registers itself. So a new
framework takes one new file with one adapter, which imports the framework only when it is used.
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
    """A model that is checked, in the form that all witnesses use.

    `order` (H, W, C) is the order of drawing, 0 for the first sub-pixel; `groups` (P,) is the colour of each parameter.
    With `joins` a colour is also predicted from the parameters and values of the earlier colours of its pixel. `batch`
    is how many images it takes at a time; with `fills_up` it always takes so many. `has_gradients` says whether
    `gradient` may be called, `trains` whether it may have a training mode. `threads` is how many threads may use it at
    once, None for any number, and `block` the context in which they compute: only this library's own models compute
    with denormal numbers as zero. `axes` is how many axes an image has for the model; with one, positions are places in
    a sequence. `notes` are sentences for the reader of the report. Changes up to `rounding`, as a share of the largest
    legal change, may be only rounding. `kept` is how many bytes a backward pass stores per image, 0 if unknown; it
    decides how much is tried on large images.
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
        """What an image comes with, such as a condition; None for most subjects."""
        return None

    def parameters(self, images: np.ndarray, context: Any = None, seed: int | None = None) -> np.ndarray:
        """Images (N, H, W, C) -> parameters (N, H, W, P); with a `seed` in training mode, with noise from that seed."""
        raise NotImplementedError

    def gradient(self, images: np.ndarray, seeds: np.ndarray, context: Any = None) -> np.ndarray:
        """The gradient of the sum of `seeds` (N, H, W, P) times the parameters: -> (N, H, W, C)."""
        raise NotImplementedError

    def random_image(self, rng: np.random.Generator) -> np.ndarray:
        """An image (H, W, C) of the kind that it takes, never a constant one."""
        return self.inputs.image(self.image_shape, rng)

    def shaken(self, seed: int, gently: bool) -> "Subject | None":
        """A copy of it with other weights, so that no weight hides a leak; None if no weights are found."""
        return None

    def precise(self) -> "Subject | None":
        """A copy of it that computes in float64; None if there is none, or if it does so anyway."""
        return None

    def interleaved(self) -> "Subject | None":
        """The same with parameters whose colours alternate; None where the colours were not guessed."""
        return None

    def frozen(self) -> "tuple[Subject, tuple[str, ...]] | None":
        """A copy that uses statistics over the batch as in evaluation, and the names of the layers that have some."""
        return None

    def first_seen(self, images: np.ndarray, changed: np.ndarray, place: int, seed: int | None) -> str:
        """The first layer at which a change shows at `place` or before: "'net.3' (Conv2d)"; "" if there are no layers.

        `images` and `changed` are (N, H, W, C). `place` is a pixel in raster order, or -1 for a change that shows at
        other images.
        """
        return ""

    @property
    def size(self) -> int:
        """The number of sub-pixels of an image, S."""
        return int(np.prod(self.image_shape))


@dataclass(frozen=True)
class Options:
    """The arguments of `check_causality` that describe a model which does not describe itself."""

    order: Any = None
    groups: Any = None
    inputs: Any = None
    channels_first: bool | None = None
    layout: Any = None
    call: Any = None
    head: Any = None
    batch_size: Any = None

    def given(self) -> list[str]:
        """The names of those that are given, without the order, which may be given for any model."""
        return [name for name, value in vars(self).items() if value is not None and name != "order"]


Adapter = Callable[[Any, Any, Options], "Subject | None"]
F = TypeVar("F", bound=Adapter)
_ADAPTERS: list[tuple[int, Adapter]] = []


def adapter(rank: int) -> Callable[[F], F]:
    """Register an adapter: a function (model, image_shape, Options) -> Subject, or None if it cannot read that model.

    Adapters of a lower rank are asked first.
    """

    def register(make: F) -> F:
        _ADAPTERS.append((rank, make))
        _ADAPTERS.sort(key=lambda entry: entry[0])
        return make

    return register


class CallError(ValueError):
    """The model to check raised an error when it was called; another adapter may call it in another way."""


class NotMine(Exception):  # noqa: N818 - it is no error, and nobody but subject_of sees it
    """The output of a function is not an array of the adapter's framework."""


def subject_of(thing: Any, image_shape: Any = None, order: Any = None, **options: Any) -> Subject:
    """A Subject from the model to check; `options` are those of Options. Raises ValueError for anything else."""
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
    """Whether a class is derived from a class of a library, which is not imported to find that out."""
    return any((base.__module__, base.__name__) == (module, name) for base in kind.__mro__)
