"""What is checked, in one form: a minipixel model, a function on arrays, a PyTorch module, a JAX function.

A subject turns images (N, H, W, C) into parameters (N, H, W, P), says which colour each parameter describes, and in
which order the sub-pixels are drawn. If it has gradients it offers them. Frameworks are imported by their adapters
alone, which are imported when one is handed over.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from minipixel.backend import to_cpu
from minipixel.blas_threads import one_blas_thread
from minipixel.causality.arguments import Inputs, Layout, check_image_shape, check_order
from minipixel.computing import Block, computing
from minipixel.models import Model
from minipixel.models.arrays import what
from minipixel.models.network import Network
from minipixel.shards import rows
from minipixel.tensor import Tensor, gradients, no_grad


class Subject:
    """What a witness needs to know of a thing that it examines.

    `order` (H, W, C) is the place in line of each sub-pixel; `groups` (P,) the colour of each parameter; with `joins` a
    colour is predicted from the parameters of earlier ones too, and from their values. `batch` is how many images it
    takes at a time, `has_gradients` whether `gradient` may be called, `trains` whether it may have a training
    mode, `threads` how many may use it at once, None for any number, and `block` what they work in: only what is this
    library's own does so without denormal numbers.
    """

    name: str
    image_shape: tuple[int, int, int]
    order: np.ndarray
    groups: np.ndarray
    inputs: Inputs
    batch: int
    joins = False
    has_gradients = False
    trains = False
    threads: int | None = 1
    block: Block = one_blas_thread

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

    @property
    def size(self) -> int:
        """How many sub-pixels an image has, S."""
        return int(np.prod(self.image_shape))


class OfModel(Subject):
    """A minipixel model: it knows its order, its groups and its images, and every image comes with a condition."""

    has_gradients = trains = True
    threads = None
    block = computing

    def __init__(self, model: Model, order: Any = None) -> None:
        model.check_finite()
        self.model, self.name, self.image_shape = model, type(model).__name__, model.image_shape
        self.order = model.order if order is None else check_order(order, model.image_shape)
        self.groups, self.joins, self.batch = model.head.groups, model.head.joins_colours, model.shard_size
        self.inputs = Inputs(np.dtype(int), 0, model.levels - 1)

    def context(self, rng: np.random.Generator) -> Any:
        """The condition of one image."""
        return self.model.conditions.random(1, rng)

    @computing
    def parameters(self, images: np.ndarray, context: Any = None, seed: int | None = None) -> np.ndarray:
        """Images (N, H, W, C) -> parameters (N, H, W, P)."""
        with no_grad():
            found = to_cpu(self._forward(self._numbers(images), len(images), context, seed).data)
        if not np.isfinite(found).all():  # NaN would be like NaN, and hide what depends on what
            raise ValueError(f"{self.name}: got NaN or infinite parameters, wanted numbers; its weights are too large")
        return found.transpose(2, 0, 1, 3)

    @computing
    def gradient(self, images: np.ndarray, seeds: np.ndarray, context: Any = None) -> np.ndarray:
        """The gradient of the sum of `seeds` (N, H, W, P) times the parameters: -> (N, H, W, C)."""
        x = Tensor(self._encoded(images))
        parameters = self._forward(x, len(images), context, None)
        pixels_first = np.ascontiguousarray(seeds.transpose(1, 2, 0, 3), self.model.dtype)
        (gradient,) = gradients(parameters, [x], self.model.xp.asarray(pixels_first))
        return self._largest(to_cpu(gradient).transpose(2, 0, 1, 3))

    def _numbers(self, images: np.ndarray) -> Any:
        pixels_first = np.ascontiguousarray(images.transpose(1, 2, 0, 3))
        return self.model.as_numbers(self.model.xp.asarray(pixels_first))

    def _encoded(self, images: np.ndarray) -> Any:
        """Codes have no gradient, but the numbers that stand for them have."""
        with no_grad():
            return self.model.encoding.encoded(self._numbers(images))

    def _largest(self, gradient: np.ndarray) -> np.ndarray:
        """The largest gradient of the numbers that stand for a sub-pixel: (N, H, W, C*E) -> (N, H, W, C)."""
        C = self.image_shape[2]
        return gradient if gradient.shape[-1] == C else np.abs(gradient).reshape(*gradient.shape[:3], C, -1).max(-1)

    def _forward(self, x: Any, N: int, context: Any, seed: int | None) -> Tensor:
        condition = self.model.condition_map(rows(context, np.zeros(N, int)))
        return self.model.maps(x, condition, None if seed is None else np.random.default_rng(seed))


class OfFunction(Subject):
    """A function on arrays: (N, H, W, C) -> (N, H, W, P), (N, H, W) or (N, H, W, C, Q); or with channels first.

    It is called once to see what it returns.
    """

    def __init__(
        self,
        function: Callable[[Any], Any],
        image_shape: Any,
        *,
        order: Any = None,
        groups: Any = None,
        inputs: Any = None,
        channels_first: bool | None = None,
    ) -> None:
        self.function, self.channels_first = function, bool(channels_first)
        self.name = getattr(function, "__name__", type(function).__name__)
        self.image_shape = check_image_shape(image_shape, self.channels_first)
        self.order = check_order(order, self.image_shape)
        self.inputs = Inputs.of(self.usual_inputs() if inputs is None else inputs)
        self.batch = int(np.clip(2**16 // self.size, 1, 128))
        images = np.stack([self.random_image(np.random.default_rng(seed)) for seed in range(2)])
        output = self.call(self.given(images), None)
        if not hasattr(output, "shape"):
            raise ValueError(
                f"output: got a {type(output).__name__}, wanted one array of parameters; wrap it in what returns that"
            )
        self.made_by = type(output).__module__.partition(".")[0].removesuffix("lib")
        self.layout = Layout(tuple(output.shape), self.image_shape, len(images), self.channels_first)
        self.groups = self.layout.groups(groups, self.image_shape[2])
        self._check_numbers(images)

    def _check_numbers(self, images: np.ndarray) -> None:
        """ValueError unless the same images give the same numbers: else all would seem to depend on all."""
        first, again = self.parameters(images), self.parameters(images)
        if first.dtype.kind not in "iufb" or np.isnan(first).any():
            got = "NaN" if first.dtype.kind in "f" else str(first.dtype)
            raise ValueError(f"output: got {got}, wanted numbers; look at inputs=, what images it is fed")
        if (first != again).any():
            raise ValueError(
                "output: got two different ones for the same images, wanted the same; give its noise a fixed seed, or "
                "switch it to evaluation"
            )

    def parameters(self, images: np.ndarray, context: Any = None, seed: int | None = None) -> np.ndarray:
        """Images (N, H, W, C) -> parameters (N, H, W, P)."""
        return self.layout.last(self.numbers(self.call(self.given(images), seed)))

    def given(self, images: np.ndarray) -> np.ndarray:
        """Images (N, H, W, C) laid out as the function wants them."""
        return np.ascontiguousarray(images.transpose(0, 3, 1, 2)) if self.channels_first else images

    def taken(self, images: np.ndarray) -> np.ndarray:
        """Images as the function has them -> (N, H, W, C)."""
        return images.transpose(0, 2, 3, 1) if self.channels_first else images

    # --- what the adapter of a framework does in its own way --------------------------------------------------------

    def usual_inputs(self) -> tuple[str, float, float]:
        """The images to draw if nothing is said about them."""
        return "float32", -1.0, 1.0

    def call(self, images: np.ndarray, seed: int | None) -> Any:
        """The function's own output; in training mode if there is a `seed`."""
        return self.function(images)

    def numbers(self, output: Any) -> np.ndarray:
        """An output as a NumPy array."""
        return to_cpu(output)


def subject_of(thing: Any, image_shape: Any = None, order: Any = None, **options: Any) -> Subject:
    """Whatever is to be checked, as a Subject; ValueError for what cannot be meant.

    `options` are `groups`, `inputs` and `channels_first`: a minipixel model knows these.
    """
    if isinstance(thing, Subject):
        return thing
    given = [name for name, value in options.items() if value is not None]
    if isinstance(thing, Model):
        if given:
            raise ValueError(
                f"{given[0]}: got one for a {type(thing).__name__}, wanted None; a minipixel model knows it"
            )
        if image_shape is not None and tuple(image_shape) != thing.image_shape:
            raise ValueError(f"image_shape: got {tuple(image_shape)}, wanted {thing.image_shape}, that of the model")
        return OfModel(thing, order)
    model_class = isinstance(thing, type) and (issubclass(thing, Network) or _of_torch(thing))
    if not callable(thing) or isinstance(thing, Network) or model_class:
        raise ValueError(
            f"check_causality: got {what(thing)}, wanted a minipixel model, a PyTorch module, or a function "
            f"from images to parameters{'; make one of it first' if model_class else ''}"
        )
    if _of_torch(type(thing)):
        from minipixel.causality.of_torch import OfTorch

        return OfTorch(thing, image_shape, order=order, **options)
    subject = OfFunction(thing, image_shape, order=order, **options)
    if subject.made_by == "jax":
        from minipixel.causality.of_jax import OfJax

        return OfJax(thing, image_shape, order=order, **options)
    return subject


def _of_torch(kind: type) -> bool:
    """Whether it is a class of PyTorch's modules, which is not imported to find that out."""
    return any((c.__module__, c.__name__) == ("torch.nn.modules.module", "Module") for c in kind.__mro__)
