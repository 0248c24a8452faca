"""The adapter for JAX functions; it imports JAX only after the user has done so."""

import copy
import sys
from typing import Any

import numpy as np

from minipixel.causality import closures
from minipixel.causality.of_function import OfFunction, called_by
from minipixel.causality.shaking import shaken
from minipixel.causality.subjects import Options, Subject, adapter
from minipixel.models.network import Network


class OfJax(OfFunction):
    """A function of JAX arrays, channels last by default, with gradients if its images are floating point.

    Noise and modes are arguments of such a function; pass a function in which they are fixed.
    """

    def __init__(self, function: Any, image_shape: Any, options: Options) -> None:
        super().__init__(function, image_shape, options)
        self.has_gradients = self.inputs.dtype.kind == "f"

    def call(self, images: np.ndarray, seed: int | None) -> Any:
        """The function's own output for a JAX array, since it may use what NumPy arrays lack, such as x.at[...].set."""
        import jax

        return self.function(jax.numpy.asarray(images))

    def mine(self, output: Any) -> bool:
        """Whether it is a JAX array."""
        return isinstance(output, sys.modules["jax"].Array)

    def numbers(self, output: Any) -> np.ndarray:
        """A JAX array as a NumPy array, in float32 if it has fewer bits."""
        numbers = np.asarray(output)
        return numbers.astype(np.float32) if numbers.dtype.itemsize < 4 and numbers.dtype.kind not in "iub" else numbers

    def gradient(self, images: np.ndarray, seeds: np.ndarray, context: Any = None) -> np.ndarray:
        """The gradient of the sum of `seeds` (N, H, W, P) times the parameters: -> (N, H, W, C)."""
        import jax

        n = len(images)
        seeds = np.concatenate([seeds, np.zeros((self.batch - n, *seeds.shape[1:]), seeds.dtype)])
        output, backward = jax.vjp(self.function, jax.numpy.asarray(self.given(self.padded(images))))
        (gradient,) = backward(jax.numpy.asarray(self.layout.raw(seeds), output.dtype))
        return self.taken(self.numbers(gradient))[:n]

    def shaken(self, seed: int, gently: bool) -> Subject | None:
        """A copy with other weights, which are found in trees of arrays (dicts, lists, modules) of the function."""
        rng, count = np.random.default_rng(seed), 0

        def swap(value: Any) -> Any:
            nonlocal count
            if not _tree_of_weights(value):
                return value
            count += 1
            import jax

            return jax.tree_util.tree_map(lambda leaf: _shaken_leaf(leaf, rng, gently), value)

        function = swap(self.function)  # a module of flax.nnx is called itself, and holds its weights
        if not count:
            function = closures.replaced(self.function, swap)
        if not count:
            return None
        other = copy.copy(self)
        other.function = function
        return other


def _tree_of_weights(value: Any) -> bool:
    """Whether it is a tree of several arrays, some floating point; a single array may be a mask or a condition."""
    import jax

    if isinstance(value, (str, bytes, int, float, jax.Array, np.ndarray)) or value is None:
        return False
    leaves = jax.tree_util.tree_leaves(value)
    arrays = [leaf for leaf in leaves if isinstance(leaf, (jax.Array, np.ndarray))]
    return (
        bool(arrays) and len(arrays) == len(leaves) and any(jax.numpy.issubdtype(a.dtype, np.floating) for a in arrays)
    )


def _shaken_leaf(leaf: Any, rng: np.random.Generator, gently: bool) -> Any:
    import jax

    if not jax.numpy.issubdtype(leaf.dtype, np.floating):
        return leaf
    return jax.numpy.asarray(shaken(np.asarray(leaf, np.float64), rng, gently), leaf.dtype)


@adapter(rank=80)
def of_jax(thing: Any, image_shape: Any, options: Options) -> Subject | None:
    """A subject from a function that returns JAX arrays."""
    if "jax" not in sys.modules or not callable(thing) or isinstance(thing, (type, Network)):
        return None
    subject = OfJax(called_by(thing, options.call), image_shape, options)
    subject.name = getattr(thing, "__name__", type(thing).__name__)
    return subject
