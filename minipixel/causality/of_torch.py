"""The adapter for PyTorch modules and functions of tensors; torch is imported only when one is checked."""

import copy
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from minipixel.causality import closures
from minipixel.causality.arguments import Inputs
from minipixel.causality.of_function import OfFunction, called_by
from minipixel.causality.shaking import shaken
from minipixel.causality.subjects import Options, Subject, adapter, is_of
from minipixel.computing import AsItIs
from minipixel.models.network import Network

MEMORY = 2**29
"""About how many bytes a batch may take with its gradients."""
LEAST = 2
"""How many images it is at least: normalised by its batch, one alone would be normalised by its own later pixels."""
PROBED = 2
"""How many images are tried to find out what one takes."""
FEW = 8
"""How many are tried at a time where that cannot be found out."""


class OfTorch(OfFunction):
    """A PyTorch module, in evaluation and in training mode, or a function of tensors, with gradients.

    `modules` are the modules that a function refers to; with some, channels come first by default. Modes, buffers and
    attributes of all modules are put back after each call, and noise comes from a separate generator. `arrays` means
    that the function takes NumPy arrays all the same.
    """

    block = AsItIs()  # PyTorch has threads of its own
    arrays = False
    frozen_layers: tuple[Any, ...] = ()

    def __init__(
        self, function: Any, image_shape: Any, options: Options, modules: list[Any], name: str, arrays: bool = False
    ) -> None:
        import torch

        self.modules, self.arrays, self.first = modules, arrays, bool(modules)
        weights = [each for module in modules for each in (*module.parameters(), *module.buffers())]
        weights = [weight for weight in weights if weight.is_floating_point()]
        self.device = weights[0].device if weights else torch.device("cpu")
        self.dtype = weights[0].dtype if weights else torch.float32
        self.trains = bool(modules)
        super().__init__(function, image_shape, options)
        self.name = name
        self.has_gradients = self.inputs.dtype.kind == "f" and not arrays

    def usual_inputs(self) -> tuple[str, float, float]:
        """Numbers in [-1, 1] with the precision of the weights."""
        import torch

        return "float64" if self.dtype == torch.float64 else "float32", -1.0, 1.0

    def usual_batch(self, asked: Any, spelled: str) -> int:
        """As many images as fit into MEMORY with what a backward pass stores, which copies of the modules show."""
        usual = super().usual_batch(asked, spelled)
        return usual if asked is not None or self.arrays else min(usual, self._fitting(spelled))

    def _fitting(self, spelled: str) -> int:
        import torch

        kept = 0

        def count(tensor: Any) -> None:  # nothing is kept here: there is no way back
            nonlocal kept
            kept += tensor.numel() * tensor.element_size()

        try:
            probe = copy.copy(self)
            probe._replace(_copied)
            x = probe._tensor(np.zeros(self.shape_of(PROBED, spelled), self.inputs.dtype))
            x = x.requires_grad_() * 1 if x.is_floating_point() else x
            with (
                probe._mode(None),
                torch.enable_grad(),
                torch.autograd.graph.saved_tensors_hooks(count, lambda none: none),
            ):
                probe.function(x)
        except Exception:  # it takes no such batch, or cannot be copied: what is wrong is said when it is called
            return FEW
        self.kept = kept // PROBED
        return max(LEAST, MEMORY // max(1, self.kept))

    def rounding_of(self, dtype: np.dtype) -> float:
        """The share of rounding for the precision of the weights."""
        return super().rounding_of(dtype) if self.dtype.itemsize > 2 else 1e-2

    def mine(self, output: Any) -> bool:
        """Whether it is a tensor, or anything that a module returns."""
        import torch

        return isinstance(output, torch.Tensor) or bool(self.modules)

    def call(self, images: np.ndarray, seed: int | None) -> Any:
        """The module's output, without a tape."""
        import torch

        with self._mode(seed), torch.no_grad():
            return self.function(images if self.arrays else self._tensor(images))

    def numbers(self, output: Any) -> np.ndarray:
        """A tensor as a NumPy array, in float32 if it has fewer bits."""
        output = output.detach()
        return (output.float() if output.is_floating_point() and output.itemsize < 4 else output).cpu().numpy()

    def gradient(self, images: np.ndarray, seeds: np.ndarray, context: Any = None) -> np.ndarray:
        """The gradient of the sum of `seeds` (N, H, W, P) times the parameters: -> (N, H, W, C)."""
        import torch

        n = len(images)
        seeds = np.concatenate([seeds, np.zeros((self.batch - n, *seeds.shape[1:]), seeds.dtype)])
        x = self._tensor(self.given(self.padded(images))).requires_grad_()
        with self._mode(None), torch.enable_grad():
            output = self.function(x * 1)  # a copy, which may be written into
            if not output.requires_grad:
                raise ValueError("its output has no gradient: it runs under no_grad, or detaches")
            seed = torch.as_tensor(self.layout.raw(seeds), dtype=output.dtype, device=self.device)
            (gradient,) = torch.autograd.grad(output, x, seed, allow_unused=True)
        raw = np.zeros(self.layout_in.shape) if gradient is None else self.numbers(gradient)
        return self.taken(raw)[:n]

    def shaken(self, seed: int, gently: bool) -> Subject | None:
        """A copy with other weights in copies of the modules."""
        import torch

        rng = np.random.default_rng(seed)
        other = copy.copy(self)
        other._replace(_copied)
        weights = [weight for module in other.modules for weight in module.parameters()]
        with torch.no_grad():
            for weight in weights:
                if weight.is_floating_point():
                    numbers = weight.detach().double().cpu().numpy()
                    weight.copy_(torch.as_tensor(shaken(numbers, rng, gently, weight.requires_grad)))
        return other if weights else None

    def precise(self) -> Subject | None:
        """A copy with the modules in float64, which gets the same images."""
        import torch

        if self.dtype == torch.float64 or not self.modules or self.frozen_layers or self.arrays:
            return None
        other = copy.copy(self)
        other._replace(lambda module: copy.deepcopy(module).double())
        other.dtype = torch.float64
        if self.inputs.dtype.kind == "f":
            other.inputs = Inputs.of(("float64", self.inputs.low, self.inputs.high))
        return other

    def frozen(self) -> tuple[Subject, tuple[str, ...]] | None:
        """A copy whose layers with statistics over the batch stay in evaluation mode, and the names of these layers."""
        import torch

        layers = [
            (name, layer)
            for module in self.modules
            for name, layer in module.named_modules()
            if isinstance(layer, torch.nn.modules.batchnorm._NormBase)
            and layer.track_running_stats
            and not isinstance(layer, torch.nn.modules.instancenorm._InstanceNorm)
        ]
        if not layers:
            return None
        other = copy.copy(self)
        other.frozen_layers = tuple(layer for _, layer in layers)
        return other, tuple(f"{name!r} ({type(layer).__name__})" for name, layer in layers)

    def first_seen(self, images: np.ndarray, changed: np.ndarray, place: int, seed: int | None) -> str:
        """The first layer, in the order in which they end, whose output moves at `place` or before."""
        from minipixel.causality.layers import first_moved

        eager = copy.copy(self)
        eager._replace(lambda module: module)  # what is compiled takes no hooks

        def run(batch: np.ndarray) -> np.ndarray:
            return eager.parameters(batch, None, seed)

        return first_moved(
            eager.modules, self.image_shape, self.batch, lambda: run(images), lambda: run(changed), place
        )

    def _replace(self, swap: Any) -> None:
        """Use other modules in place of the user's, which stay as they are."""
        others = {id(module): swap(_original(module)) for module in self.modules}
        self.function = closures.replaced(self.function, lambda value: others.get(id(value), value))
        self.function = others.get(id(self.function), self.function)
        self.modules = list(others.values())

    def _tensor(self, images: np.ndarray) -> Any:
        import torch

        x = torch.as_tensor(images, device=self.device)
        return x.to(self.dtype) if x.is_floating_point() and self.dtype.itemsize < 4 else x

    @contextmanager
    def _mode(self, seed: int | None) -> Iterator[None]:
        """Evaluation mode or, with a seed, training mode; afterwards all is as it was."""
        import torch

        inner = [each for module in self.modules for each in module.modules()]
        attributes = [(module, dict(vars(module)), module.training) for module in inner]
        buffers = [(buffer, buffer.clone()) for module in self.modules for buffer in module.buffers()]
        devices = [self.device] if self.device.type == "cuda" else []
        try:
            with torch.random.fork_rng(devices), _noise_apart(seed or 0):
                torch.manual_seed(seed or 0)
                for module in self.modules:
                    module.train(seed is not None)
                for normalisation in self.frozen_layers:
                    normalisation.eval()
                yield
        finally:
            for module, before, training in attributes:
                if not isinstance(module, torch.jit.ScriptModule):
                    vars(module).clear()
                    vars(module).update(before)
                module.training = training
            with torch.no_grad():
                for buffer, numbers in buffers:
                    buffer.copy_(numbers)


@contextmanager
def _noise_apart(seed: int) -> Iterator[None]:
    """The global generators of Python and NumPy, from which layers draw as well, seeded; put back afterwards."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - it is what people's layers draw from
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


def _original(module: Any) -> Any:
    """A module as it was before it was compiled, which can be copied."""
    return getattr(module, "_orig_mod", module)


def _copied(module: Any) -> Any:
    """A deep copy, also of a module with a computed tensor in an attribute, which copy.deepcopy would refuse."""
    import torch

    leaves = {
        id(value): value.detach().clone()
        for inner in module.modules()
        for attribute in vars(inner).values()
        for value in (attribute if isinstance(attribute, (list, tuple)) else [attribute])
        if isinstance(value, torch.Tensor) and not value.is_leaf
    }
    return copy.deepcopy(module, leaves)


def _is_module(thing: Any) -> bool:
    return is_of(type(thing), "torch.nn.modules.module", "Module")


@adapter(rank=10)
def of_module(thing: Any, image_shape: Any, options: Options) -> Subject | None:
    """A subject from a PyTorch module, called as it is or by `call`."""
    if not _is_module(thing):
        return None
    name = type(_original(thing)).__name__
    return OfTorch(called_by(thing, options.call), image_shape, options, [thing], name)


@adapter(rank=110)
def of_tensors(thing: Any, image_shape: Any, options: Options) -> Subject | None:
    """A subject from a function that takes tensors, since it raised an error for NumPy arrays."""
    return _of_callable(thing, image_shape, options, arrays=False)


@adapter(rank=90)
def of_arrays(thing: Any, image_shape: Any, options: Options) -> Subject | None:
    """A subject from a function that takes NumPy arrays and returns tensors."""
    return _of_callable(thing, image_shape, options, arrays=True)


def _of_callable(thing: Any, image_shape: Any, options: Options, arrays: bool) -> Subject | None:
    if "torch" not in sys.modules or not callable(thing) or isinstance(thing, (type, Network)):
        return None
    function = called_by(thing, options.call)
    modules = [value for value in closures.references(function) if _is_module(value)]
    name = type(modules[0]).__name__ if len(modules) == 1 else getattr(thing, "__name__", type(thing).__name__)
    return OfTorch(function, image_shape, options, modules, name, arrays)
