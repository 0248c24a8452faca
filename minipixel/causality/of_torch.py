"""The adapter for PyTorch modules; it is imported when one is handed over, and no sooner."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from minipixel.causality.subjects import OfFunction


class OfTorch(OfFunction):
    """A PyTorch module: channels first unless told otherwise, in evaluation and in training mode, with gradients.

    Nothing of it is left changed: modes and buffers are put back, and the noise is drawn from a generator apart.
    """

    trains = True

    def __init__(self, module: Any, image_shape: Any, *, channels_first: bool | None = None, **options: Any) -> None:
        weights = [weight for weight in (*module.parameters(), *module.buffers()) if weight.is_floating_point()]
        self.device = weights[0].device if weights else torch.device("cpu")
        self.dtype = weights[0].dtype if weights else torch.float32
        self.module = module
        super().__init__(module, image_shape, channels_first=channels_first is not False, **options)
        self.name = type(module).__name__
        self.has_gradients = self.inputs.dtype.kind == "f"

    def usual_inputs(self) -> tuple[str, float, float]:
        """Numbers of the precision of the weights."""
        return "float64" if self.dtype == torch.float64 else "float32", -1.0, 1.0

    def call(self, images: np.ndarray, seed: int | None) -> Any:
        """The module's output, without a tape."""
        with self._mode(seed), torch.no_grad():
            return self.function(self._tensor(images))

    def numbers(self, output: Any) -> np.ndarray:
        """A tensor as a NumPy array."""
        return (output if output.dtype == torch.float64 else output.float()).cpu().numpy()

    def gradient(self, images: np.ndarray, seeds: np.ndarray, context: Any = None) -> np.ndarray:
        """The gradient of the sum of `seeds` (N, H, W, P) times the parameters: -> (N, H, W, C)."""
        x = self._tensor(self.given(images)).requires_grad_()
        with self._mode(None), torch.enable_grad():
            output = self.function(x)
            laid_out = np.ascontiguousarray(self.layout.raw(seeds))
            seed = torch.as_tensor(laid_out, dtype=output.dtype, device=self.device)
            (gradient,) = torch.autograd.grad(output, x, seed, allow_unused=True)
        return self.taken(np.zeros(x.shape) if gradient is None else self.numbers(gradient))

    def _tensor(self, images: np.ndarray) -> Any:
        x = torch.as_tensor(images, device=self.device)
        return x.to(self.dtype) if x.is_floating_point() and self.dtype.itemsize < 4 else x

    @contextmanager
    def _mode(self, seed: int | None) -> Iterator[None]:
        """Evaluation mode or, with a seed, training mode."""
        modes = [(module, module.training) for module in self.module.modules()]
        buffers = [(buffer, buffer.clone()) for buffer in self.module.buffers()]
        devices = [self.device] if self.device.type == "cuda" else []
        try:
            with torch.random.fork_rng(devices):
                torch.manual_seed(0 if seed is None else seed)
                self.module.train(seed is not None)
                yield
        finally:
            for module, training in modes:
                module.training = training
            with torch.no_grad():
                for buffer, before in buffers:
                    buffer.copy_(before)
