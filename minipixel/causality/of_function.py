"""The adapter for any function on arrays, which is also the base of the adapters for frameworks."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minipixel.backend import to_cpu
from minipixel.causality.arguments import (
    Inputs,
    check_groups,
    check_head,
    check_image_shape,
    check_order,
    split_evenly,
)
from minipixel.causality.layouts import Layout, check_layout, layout_of
from minipixel.causality.subjects import CallError, NotMine, Options, Subject, adapter, is_of
from minipixel.models.checks import check_count
from minipixel.models.network import Network
from minipixel.shown import short

FEWEST, MOST = 4, 32
"""How many images are tried at a time; smaller batches are filled up, so that more would be waste."""
SUBPIXELS = 2**14
"""About how many sub-pixels are tried at a time, within these."""
CODES = ("int64", 0, 1)
"""What is fed to something that takes no floating-point numbers, until it is known how many codes there are."""


class OfFunction(Subject):
    """A function on arrays: (N, H, W, C) -> (N, H, W, P), (N, H, W) or (N, H, W, C, Q), or in another layout.

    It is called once to see what it returns, and always with the same number of images, in case it stores something
    that has the size of a batch. `first` says whether channels come first by default.
    """

    first = False
    fills_up = True

    def __init__(self, function: Callable[[Any], Any], image_shape: Any, options: Options) -> None:
        self.function = function
        self.name = getattr(function, "__name__", type(function).__name__)
        self.channels_first = self.first if options.channels_first is None else bool(options.channels_first)
        images, output = check_layout(options.layout)
        self.image_shape, spelled = _sizes(image_shape, images, self.channels_first)
        self.axes, self.raw_shape = len(image_shape), tuple(int(size) for size in image_shape)
        self.order = check_order(options.order, self.image_shape)
        self.inputs = Inputs.of(self.usual_inputs() if options.inputs is None else options.inputs)
        self.batch = self.usual_batch(options.batch_size, spelled)
        self.layout_in = Layout(spelled, self.shape_of(self.batch, spelled), self.batch, self.image_shape)
        raw = self._first_output(options.inputs is None)
        wanted = None if options.channels_first is None else self.channels_first
        if output is None:
            self.layout = layout_of(tuple(raw.shape), self.image_shape, self.layout_in, wanted)
        else:
            self.layout = Layout(output, tuple(raw.shape), self.batch, self.image_shape)
        self._parameters_are(options)
        self._more_codes()
        self._check_numbers()

    def _parameters_are(self, options: Options) -> None:
        """Set the colour of each parameter, and whether colours are joined in a head."""
        P, C = self.layout.P, self.image_shape[2]
        joined = check_head(options.head, P, C)
        self.joins = joined and bool(np.ptp(self.order, axis=2).any())  # at once: no colour comes after another
        self.split = False  # by blocks, which is a guess
        if joined:
            self.groups = np.zeros(P, int)
        elif options.groups is not None:
            self.groups = self.layout.ordered(check_groups(options.groups, P, C))
        elif self.layout.groups is not None:
            self.groups = self.layout.groups
        else:
            self.groups, self.split = split_evenly(P, C), P > C

    def interleaved(self) -> Subject | None:
        """The same with parameters whose colours alternate; None where the colours were not guessed."""
        if not self.split:
            return None
        other = copy.copy(self)
        other.groups, other.split = np.tile(np.arange(self.image_shape[2]), self.layout.P // self.image_shape[2]), False
        return other

    def parameters(self, images: np.ndarray, context: Any = None, seed: int | None = None) -> np.ndarray:
        """Images (N, H, W, C) -> parameters (N, H, W, P)."""
        parts = [self._part(images[n : n + self.batch], seed) for n in range(0, len(images), self.batch)]
        return np.concatenate(parts)

    def _part(self, images: np.ndarray, seed: int | None) -> np.ndarray:
        n = len(images)
        numbers = self.numbers(self._called(self.given(self.padded(images)), seed))
        if numbers.shape != self.layout.shape:
            raise ValueError(
                f"output: got shape {numbers.shape}, after {self.layout.shape} for as many images, wanted the same "
                "each time"
            )
        return self.layout.last(numbers)[:n]

    def padded(self, images: np.ndarray) -> np.ndarray:
        """Images (n, ...) filled up to a whole batch with copies of the last one."""
        missing = self.batch - len(images)
        return np.concatenate([images, np.repeat(images[-1:], missing, axis=0)]) if missing else images

    def given(self, images: np.ndarray) -> np.ndarray:
        """Images (N, H, W, C) in the layout that the function takes, as a copy."""
        raw = self.layout_in.raw(images)
        return raw.copy() if np.shares_memory(raw, images) else raw

    def taken(self, images: np.ndarray) -> np.ndarray:
        """Images in the layout that the function takes -> (N, H, W, C)."""
        return self.layout_in.last(images)

    def shape_of(self, N: int, spelled: str) -> tuple[int, ...]:
        """The shape of N images in the layout that the function takes."""
        at = spelled.index("N")
        return (*self.raw_shape[:at], N, *self.raw_shape[at:])

    def fed(self) -> str:
        """The images that it is called with, in words."""
        low, high = (f"{value:g}" for value in (self.inputs.low, self.inputs.high))
        return f"{self.inputs.dtype} {tuple(self.layout_in.shape)} in {low}..{high}"

    def _called(self, images: np.ndarray, seed: int | None) -> Any:
        try:
            return self.call(images, seed)
        except Exception as error:
            said = " ".join(str(error).split())
            raise CallError(
                f"model: raised {type(error).__name__} ({said:.200}), called with {self.fed()}; {self._way_out(said)}"
            ) from error

    def _way_out(self, said: str) -> str:
        """The end of the message after an error of the user's model: what may help."""
        if self.inputs.dtype.kind == "f" and any(word in said for word in ("Long", "indices", "Int", "integer")):
            return 'for integer codes pass inputs=("int64", 0, Q - 1)'
        return "look at image_shape, inputs and batch_size, or pass call=, how the model is to be called with x"

    def _first_output(self, any_inputs: bool) -> Any:
        """The output for a first batch; if it takes no floating-point numbers and `inputs` is not given, of codes."""
        try:
            return self._whole(self._called(self.given(self._sample()), None))
        except CallError as error:
            asked = self.inputs
            if not any_inputs:
                raise
            self.inputs = Inputs.of(CODES)
            try:
                return self._whole(self._called(self.given(self._sample()), None))
            except CallError:
                self.inputs = asked
                raise error from error.__cause__

    def _more_codes(self) -> None:
        """Where it takes codes, and `inputs` is not given: use as many codes as it returns parameters for each."""
        if self.inputs != Inputs.of(CODES):
            return
        Q, dtype = self.layout.P // self.image_shape[2], self.inputs.dtype
        fewer, self.inputs = self.inputs, Inputs(dtype, 0, max(Q - 1, 1))
        try:
            self._called(self.given(self._sample()), None)
        except CallError:
            self.inputs = fewer
        self.notes += (f"it takes no floating-point numbers, so it is fed {self.fed()}; inputs= says otherwise",)

    def _sample(self) -> np.ndarray:
        """A batch of random images (N, H, W, C)."""
        return np.stack([self.random_image(np.random.default_rng(seed)) for seed in range(self.batch)])

    def _whole(self, output: Any) -> Any:
        """An output, if it is one array of this adapter's framework."""
        if not self.mine(output):
            raise NotMine
        if not hasattr(output, "shape"):
            kind = type(output).__name__
            take = ", call=lambda net, x: net(x)[0] say" if isinstance(output, Sequence) else ""
            raise ValueError(
                f"output: got a {kind}, wanted one array of parameters; wrap it in what returns that{take}"
            )
        return output

    def _check_numbers(self) -> None:
        """Raise ValueError unless equal images give equal outputs; otherwise all would seem to depend on everything."""
        images = self._sample()
        first, again = self.parameters(images), self.parameters(images)
        self.rounding = self.rounding_of(first.dtype)
        if first.dtype.kind not in "iufb" or np.isnan(first).any():
            got = "NaN" if first.dtype.kind in "f" else str(first.dtype)
            raise ValueError(f"output: got {got}, wanted numbers; look at inputs=, what images it is fed")
        if (first != again).any():
            raise ValueError(
                "output: got two different ones for the same images, wanted the same; give its noise a fixed seed, or "
                "switch it to evaluation"
            )

    # --- what the adapter of a framework does in its own way --------------------------------------------------------

    def usual_inputs(self) -> tuple[str, float, float]:
        """The kind of images to draw if `inputs` is not given."""
        return "float32", -1.0, 1.0

    def usual_batch(self, asked: Any, spelled: str) -> int:
        """How many images every call has: as many as `asked` for, or the usual number for that layout."""
        if asked is not None:
            return check_count("batch_size", asked, 1)
        return int(np.clip(SUBPIXELS // self.size, FEWEST, MOST))

    def call(self, images: np.ndarray, seed: int | None) -> Any:
        """The function's own output; in training mode if `seed` is given."""
        return self.function(images)

    def rounding_of(self, dtype: np.dtype) -> float:
        """The share of the largest legal change above which a change is more than rounding of inputs or sums."""
        return 1e-12 if dtype == np.float64 and self.inputs.dtype != np.float32 else 1e-5

    def mine(self, output: Any) -> bool:
        """Whether an output is of the framework that this adapter is for."""
        return True

    def numbers(self, output: Any) -> np.ndarray:
        """An output as a NumPy array."""
        return np.asarray(to_cpu(output))


def _sizes(image_shape: Any, spelled: str | None, channels_first: bool) -> tuple[tuple[int, int, int], str]:
    """The shape (H, W, C) and the layout of images, from `image_shape`, or from a layout if that is given."""
    if spelled is None or not isinstance(image_shape, (tuple, list)) or len(image_shape) != 3:
        sizes, usual = check_image_shape(image_shape, channels_first)
        return sizes, spelled or usual
    letters = [letter for letter in spelled if letter in "HWC"]
    sizes, _ = check_image_shape([image_shape[letters.index(letter)] for letter in "HWC"], False)
    return sizes, spelled


@adapter(rank=100)
def of_function(thing: Any, image_shape: Any, options: Options) -> Subject | None:
    """A subject from anything that can be called with NumPy arrays; the adapters of frameworks are asked first."""
    network = isinstance(thing, type) and (
        issubclass(thing, Network) or is_of(thing, "torch.nn.modules.module", "Module")
    )
    if not callable(thing) or isinstance(thing, Network) or network:
        return None
    return OfFunction(called_by(thing, options.call), image_shape, options)


def called_by(thing: Any, call: Any) -> Any:
    """The function x -> call(thing, x), or the thing itself if there is no `call`."""
    if call is None:
        return thing
    if not callable(call):
        raise ValueError(f"call: got {short(call)}, wanted a function of the model and x, lambda net, x: net(x)[0] say")

    def function(x: Any) -> Any:
        return call(thing, x)

    function.__name__ = getattr(thing, "__name__", type(thing).__name__)
    return function
