"""Weight normalisation: a weight is learned as a direction and a length, and its scale is set by a first batch.

Source: T. Salimans, D. P. Kingma, "Weight Normalization: A Simple Reparameterization to Accelerate Training of Deep
Neural Networks", 2016, arXiv:1602.07868.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minipixel import ops
from minipixel.backend import array_module
from minipixel.nn.conditioning import Conditioning
from minipixel.nn.init import Init
from minipixel.nn.masks import causal_mask
from minipixel.nn.module import Module, Parameter
from minipixel.tensor import Tensor

HARDLY = 0.05
"""How far outputs may deviate, under a weight of length 1, and still count as not varying."""

_local = threading.local()


class WeightNorm(Module):
    """A linear layer y = W x + b with W = gain * v / |v| for each output channel; a subclass computes W x in `apply`.

    `v` has the `shape` (..., K_out), `gain` and `bias` are (K_out,). With `normed=False` W is v, and there is no gain.
    """

    def __init__(
        self, shape: tuple[int, ...], init: Init, normed: bool = True, mask: Callable[[], np.ndarray] | None = None
    ) -> None:
        self.v, self.bias = init.weight_and_bias(shape, mask)
        self.gain: Parameter | None = init.constant(1, shape[-1]) if normed else None

    def apply(self, x: Any, weight: Any, bias: Any) -> Tensor:
        """W x + b: (..., K_in) -> (..., K_out)."""
        raise NotImplementedError

    def __call__(self, x: Any, told: Conditioning | None = None, condition: Any = None) -> Tensor:
        """The layer's outputs, (..., K_in) -> (..., K_out); inside `fitting_scales` it first sets its gain and bias.

        With a condition h, and with `told`, the layer V of the condition, the output is W x + b + V h; V is scaled
        together with the gain.
        """
        if self.gain is not None and fitting():
            self._fit(x, told, condition)
        y = self.apply(x, self.v if self.gain is None else ops.weight_norm(self.v, self.gain), self.bias)
        return y if told is None else told(y, condition)

    def _fit(self, x: Any, told: Conditioning | None, condition: Any) -> None:
        """Set gain and bias so that each output channel has mean 0 and variance 1 over this batch (equation 5).

        V h is measured and scaled with the rest, as if h were more inputs of this layer.

        A channel that hardly varies, for example because all its inputs are zero, keeps its length, and only its mean
        becomes 0: dividing by a tiny number would make the next steps enormous. (Gains seen on pictures: 0.6 to 9.)

        Frozen weights stay as they are; if one of the weights that are scaled together is frozen, none is scaled.
        """
        gain = _array(self.gain)
        xp = array_module(gain)
        y = self.apply(x, ops.weight_norm(self.v, self.gain), xp.zeros_like(gain))
        y = _array(y if told is None else told(y, condition)).reshape(-1, len(gain))
        deviation = y.std(axis=0)
        scaled: list[Any] = [self.gain] if told is None or condition is None else [self.gain, told.weight]
        learned = all(isinstance(weight, Parameter) for weight in scaled)
        varies = (deviation > HARDLY * xp.abs(gain)) & learned
        scale = 1 / xp.where(varies, deviation, xp.ones_like(deviation))
        if learned:
            for weight in scaled:
                weight.data = weight.data * scale
        if isinstance(self.bias, Parameter):
            self.bias.data = -y.mean(axis=0) * scale


def _array(x: Any) -> Any:
    """The numbers of a Tensor, or an array as it is."""
    return x.data if isinstance(x, Tensor) else x


@contextlib.contextmanager
def fitting_scales() -> Iterator[None]:
    """Within this block, in this thread, each weight-normalised layer fits its scale to the first batch it meets.

    After that its output is computed again, so that the next layer fits its scale to the inputs that it will get.
    """
    _local.fitting = True
    try:
        yield
    finally:
        _local.fitting = False


def fitting() -> bool:
    """Whether this thread is inside `fitting_scales`."""
    return getattr(_local, "fitting", False)


class NormedPointwise(WeightNorm):
    """A weight-normalised 1x1 convolution: (..., K_in) -> (..., K_out), each pixel by itself.

    With `groups`, the colours of inputs and outputs, and `kind` it is masked as `Pointwise` is; otherwise all weights
    are open.
    """

    def __init__(
        self,
        K_in: int,
        K_out: int,
        init: Init,
        normed: bool = True,
        *,
        groups: tuple[np.ndarray, np.ndarray] | None = None,
        kind: str = "B",
    ) -> None:
        self.kind = kind
        if groups is not None:
            self.mask = causal_mask((1, 1), *groups, kind)[0, 0]
        super().__init__((K_in, K_out), init, normed, None if groups is None else lambda: self.mask)

    def apply(self, x: Any, weight: Any, bias: Any) -> Tensor:
        """W x + b: (..., K_in) -> (..., K_out)."""
        return ops.linear(x, weight, bias, mask=getattr(self, "mask", None))

    def __repr__(self) -> str:
        K_in, K_out = self.v.shape
        masked = f", mask {self.kind}" if hasattr(self, "mask") else ""
        return f"NormedPointwise(1x1{masked}, {K_in} -> {K_out})"
