"""The class Network, the base of all networks that read images: their image shape, their weights, their files."""

import functools
import inspect
import json
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import numpy as np

from minipixel import checkpoint, console
from minipixel.backend import array_module, device_of
from minipixel.errors import DeviceError
from minipixel.heads import MOST_LEVELS
from minipixel.models.checks import check_choice, check_count, check_shape, warn_of_channels_first
from minipixel.models.elsewhere import instead
from minipixel.models.remembered import check_pictures
from minipixel.nn import Init, Module
from minipixel.nn.init import Blank

MOST_NUMBERS = 2**24
"""The most numbers that the widest map of a shard may have (64 MiB of float32), unless a single image has more."""


class Network(Module):
    """Layers for images of one shape: the base class of the likelihood models (Model) and of the embedding network.

    `image_shape` is (H, W, C) with C in 1..64, `levels` is Q in 2..65,536. Images are integers in 0..Q-1, (N, H, W, C).
    `rng` (None, int, SeedSequence or Generator) draws the first weights; `dtype` is "float32" or "float64".

    A subclass builds its layers with `self.init`. It sets `features` (how many channels most of its feature maps have)
    and `config`, a dict of whatever its constructor needs to build the same layers again; under "model" that has the
    `name` of the model in files, by default the name of the class. Arguments of the constructor that `config` lacks are
    added to it, so that `mp.load` gives a model of your own class back as it was.
    """

    name: ClassVar[str]
    features: int
    config: dict[str, Any]
    pictures: dict[str, Any] | None = None
    """How the pictures it was trained on were prepared, and the names of their classes: see datasets.from_folder."""

    def __init_subclass__(cls, **options: Any) -> None:
        if "__init__" in vars(cls):
            setattr(cls, "__init__", _remembering(vars(cls)["__init__"]))  # noqa: B010 - mypy: no name of a method
        super().__init_subclass__(**options)
        if "name" not in vars(cls):  # an inherited one is that of another class, which a file would be taken for
            cls.name = cls.__name__

    def __init__(self, image_shape: tuple[int, int, int], levels: int, rng: Any, dtype: str) -> None:
        self.image_shape = check_shape(image_shape)
        if not isinstance(rng, Blank):  # else it comes from a file
            warn_of_channels_first(self.image_shape)
        self.levels = check_count("levels", levels, 2, MOST_LEVELS)
        self.dtype = check_choice("dtype", getattr(dtype, "__name__", str(dtype)), ("float32", "float64"))
        self.init = Init(rng, self.dtype)

    # --- the first line of every pass -------------------------------------------------------------------------------

    @property
    def xp(self) -> Any:
        """The array library of the weights: numpy, or cupy if they are on a GPU."""
        return array_module(next(self.named_arrays())[1])

    def _pixels_first(self, images: np.ndarray) -> Any:
        """Integers (N, H, W, C) -> integers (H, W, N, C), where the weights live."""
        return self.xp.asarray(np.ascontiguousarray(images.transpose(1, 2, 0, 3)))

    def scaled(self, levels: Any) -> Any:
        """Integers 0..Q-1 -> the network's dtype in [-1, 1]."""
        return levels.astype(self.dtype) * (2 / (self.levels - 1)) - 1

    def as_numbers(self, levels: Any) -> Any:
        """Integers 0..Q-1 as the numbers that `maps` reads: scaled, unless a subclass reads them otherwise."""
        return self.scaled(levels)

    def check_finite(self) -> None:
        """Raise ValueError if weights are NaN or infinite, with the name of the first: such a model is of no use.

        Raises DeviceError if some weights are on a GPU and others on the host.
        """
        for name, parameter in self.named_parameters():
            if device_of(parameter.data) != self.device:
                raise DeviceError(
                    f"{name}: got a weight on the device {device_of(parameter.data)!r} in a model on {self.device!r}, "
                    f"wanted all on one; model.to({self.device!r}) moves all"
                )
        finite = [self.xp.isfinite(parameter.data).all() for parameter in self.parameters()]
        if not finite or self.xp.stack(finite).all():  # asked at once, since each answer of a GPU is waited for
            return
        for name, parameter in self.named_parameters():
            xp = array_module(parameter.data)
            odd = parameter.data[~xp.isfinite(parameter.data)]
            if odd.size:
                raise ValueError(
                    f"{name}: got weights that are {'NaN' if xp.isnan(odd).any() else 'infinite'}, {odd.size} of "
                    f"{parameter.data.size}, wanted finite ones; load the model as it was before, or train it anew"
                )

    # --- size and files ---------------------------------------------------------------------------------------------

    @property
    def num_parameters(self) -> int:
        """How many weights the network stores, including those that masks set to zero."""
        return sum(array.size for _, array in self.named_arrays())

    @property
    def shard_size(self) -> int:
        """How many images one worker takes at a time: 1 to 16, so that a feature map has about 2**19 numbers.

        Such a map is small enough to stay in the caches of a core, and large enough for fast matrix products and for
        few calls from Python. For tiny images, where these calls take most of the time, it is up to 32.
        The size depends on the network alone and never on the machine, because sums over shards depend on it in the
        last bit. On a GPU a shard is as large as a batch is likely to be.
        """
        if self.xp is not np:
            return min(1024, self.most_images(16 * MOST_NUMBERS))
        return min(self._images_for(2**19), self.most_images(MOST_NUMBERS))

    def shard_of_batch(self, N: int) -> int:
        """The `shard_size` in training on batches of N images: down to half, if there would be fewer than 8 shards.

        Then eight cores all have work.
        """
        if self.xp is not np:
            return self.shard_size
        return min(self.shard_size, max(self._images_for(2**18), N // 8))

    def images_of_pass(self, size: int) -> int:
        """How many images of a shard of that size a plan takes at a time in training.

        In a wide model a single image is enough for fast matrix products, and takes half the memory of two. The shard
        is still larger, since the gradients of each shard are as large as the weights.
        """
        return 1 if self.xp is np and self._numbers_a_map >= 2**16 else size

    def most_images(self, numbers: int) -> int:
        """How many images there may be so that the widest map has at most so many numbers; at least 1."""
        H, W, _ = self.image_shape
        return max(1, numbers // (H * W * self.widest))

    @property
    def widest(self) -> int:
        """How many channels the widest of its maps has."""
        return self.features

    def _images_for(self, numbers: int) -> int:
        """How many images have a feature map of so many numbers: a power of 2, at most 16, or 32 for tiny images."""
        size = int(np.clip(numbers // self._numbers_a_map, 1, np.clip(2**14 // self._numbers_a_map, 16, 32)))
        return 2 ** (size.bit_length() - 1)

    @property
    def wide_shard_size(self) -> int:
        """The `shard_size` where no gradients are computed: of tiny images it is larger, and on a GPU smaller.

        A map of 2**25 numbers has work enough for all of a GPU, and larger ones would only take its memory.
        """
        if self.xp is not np:
            return min(self.shard_size, self.most_images(2**25))
        return max(self.shard_size, min(2**14 // self._numbers_a_map, self.most_images(MOST_NUMBERS)))

    @property
    def _numbers_a_map(self) -> int:
        """How many numbers there are in a feature map of one image."""
        H, W, _ = self.image_shape
        return H * W * self.features

    def __repr__(self) -> str:
        return f"{self.describe()}, {self.num_parameters:,} weights"

    if not TYPE_CHECKING:  # to a type checker a name that is not there is not there

        def __getattr__(self, name: str) -> Any:
            """Raise AttributeError for an unknown name, with the name that minipixel has for it, if there is one."""
            if hasattr(type(self), name):  # a property, in which a name is missing: Python asks here, too
                return object.__getattribute__(self, name)
            raise AttributeError(f"{type(self).__name__} has no {name!r}{instead(self, name)}", name=name, obj=self)

        def __call__(self, *arguments: Any, **options: Any) -> NoReturn:
            """Raise TypeError, since a network cannot be called."""
            raise TypeError(f"{type(self).__name__} is not called{instead(self, '__call__')}")

    def describe(self) -> str:
        """A description in one line: class, images and dtype."""
        H, W, C = self.image_shape
        return f"{type(self).__name__}: {H}x{W}x{C} images of {self.levels} levels, {self.dtype}"

    def summary(self) -> str:
        """A table of the layers as text: how many weights each has, and how many of them its mask leaves open."""
        layers = [(path, layer) for path, layer in _layers(self, "") if _own(layer)]
        rows = [(path or "(its own)", repr(layer) if path else "", *_sizes(layer)) for path, layer in layers]
        rows.append(("total", "", sum(row[2] for row in rows), sum(row[3] for row in rows)))
        width = max(len(row[0]) for row in rows)
        lines = [f"{path:{width}}  {layer:36}{stored:>12,}{opened:>12,}" for path, layer, stored, opened in rows]
        return "\n".join([self.describe(), f"{'layer':{width}}  {'':36}{'weights':>12}{'open':>12}", *lines])

    def save(self, path: str | os.PathLike[str], *, half: bool = False) -> None:
        """Write configuration and weights to a safetensors file, whole or not at all.

        `mp.load` reads the file; for a class of your own it needs `classes=[...]`. There is a warning if the
        constructor was given something that a file cannot hold, such as a function. With `half` each weight is rounded
        to 16 bits (float16), which makes the file half as large (a quarter for float64); measure on test images how
        much the model loses by it. Raises OSError if the file cannot be written, and ValueError for a weight that
        float16 cannot hold.
        """
        for name in unsaved(self)[:1]:
            console.warn(
                f"save: got a {type(self).__name__} whose argument {name!r} no file can hold, so mp.load will not have "
                "it; pass a number, a word or a list in its place",
                stacklevel=2,
            )
        uninitialized = {} if getattr(self, "initialized", True) else {"initialized": False}
        tensors = _halved(self.state_dict()) if half else self.state_dict()
        checkpoint.write(path, {**self.config, **uninitialized, **self.remembered()}, tensors)

    def remembered(self) -> dict[str, Any]:
        """What a file holds beside the configuration: `pictures`, if set. Raises ValueError if that is malformed."""
        return {} if self.pictures is None else {"pictures": check_pictures(self.pictures)}


def _halved(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Weights rounded to 16 bits each; ValueError for one that does not fit."""
    largest = np.finfo(np.float16).max
    for name, tensor in tensors.items():
        if (np.abs(tensor) > largest).any():
            raise ValueError(
                f"half: got {name} with a weight of {np.abs(tensor).max():.3g}, wanted {largest:.0f} at the most, "
                "which float16 can hold; save without half"
            )
    return {name: tensor.astype(np.float16) for name, tensor in tensors.items()}


def _remembering(constructor: Callable[..., None]) -> Callable[..., None]:
    """The same constructor, which afterwards adds its arguments to `config`, in the form in which a file holds them."""
    signature = inspect.signature(constructor)

    @functools.wraps(constructor)
    def call(self: Network, *arguments: Any, **options: Any) -> None:
        constructor(self, *arguments, **options)
        if inspect.unwrap(type(self).__init__) is not inspect.unwrap(constructor):  # that of a parent
            return
        bound = signature.bind(self, *arguments, **options)
        bound.apply_defaults()
        given: dict[str, Any] = {}
        for option in list(signature.parameters.values())[1:]:
            if option.kind is option.VAR_KEYWORD:
                given |= bound.arguments[option.name]
            elif option.kind is not option.VAR_POSITIONAL:
                given[option.name] = bound.arguments[option.name]
        given = {name: value for name, value in given.items() if name != "rng" and _as_in_a_file(value) is not ...}
        self.config = given | vars(self).get("config", {})
        for name, value in self.config.items():
            as_in_a_file = _as_in_a_file(value)
            self.config[name] = value if as_in_a_file is ... else as_in_a_file

    return call


def _as_in_a_file(value: Any) -> Any:
    """A setting as it comes back from a file, where tuples and arrays are lists; `...` if JSON cannot hold it."""
    try:
        return json.loads(json.dumps(value, default=lambda array: array.tolist()))
    except (AttributeError, TypeError, ValueError, RecursionError):
        return ...


def options_of(kind: type) -> tuple[dict[str, inspect.Parameter], bool]:
    """The arguments that a constructor names, except `rng`, and whether it takes any others by **options."""
    every = inspect.signature(kind).parameters.values()
    starred = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    named = {option.name: option for option in every if option.kind not in starred and option.name != "rng"}
    return named, any(option.kind is inspect.Parameter.VAR_KEYWORD for option in every)


def unsaved(network: Network) -> list[str]:
    """The constructor's arguments that the configuration of a network lacks, so that a file could not restore them."""
    return [name for name in options_of(type(network))[0] if name not in network.config]


def _layers(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """A module and all those below it, in lists, too, with their dotted paths; its own is ""."""
    if isinstance(value, Module):
        yield path, value
    if isinstance(value, (Module, list)):
        for name, part in vars(value).items() if isinstance(value, Module) else enumerate(value):
            yield from _layers(part, f"{path}.{name}" if path else str(name))


def _own(layer: Module) -> list[Any]:
    """The weights of a layer itself, not those of layers in it."""
    _, *below = (f"{path}." for path, _ in _layers(layer, ""))
    return [array for name, array in layer.named_arrays() if not name.startswith(tuple(below))]


def _sizes(layer: Any) -> tuple[int, int]:
    """Weights and biases stored, and those of them that the mask, if there is one, leaves open."""
    stored = sum(array.size for array in _own(layer))
    return stored, stored - (int((~layer.mask).sum()) if hasattr(layer, "mask") else 0)
