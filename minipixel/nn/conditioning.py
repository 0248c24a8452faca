"""Conditioning: a term that depends on the condition is added before a nonlinearity."""

from typing import Any

from minipixel import ops
from minipixel.nn.init import Init
from minipixel.nn.module import Module
from minipixel.tensor import Tensor


class Conditioning(Module):
    """Adds V h to a pre-activation (1606.05328, section 2.3): (H, W, N, K) -> (H, W, N, K).

    h is a condition of `K_condition` numbers, the same for all pixels (1, 1, N, K_condition) or one per pixel
    (H, W, N, K_condition); V is an unmasked 1x1 without bias, since a condition is known before the first pixel.
    With `K_condition` 0 there is nothing to add, and nothing to learn.
    """

    def __init__(self, K_condition: int, K: int, init: Init) -> None:
        if K_condition:
            self.weight = init.weight(K_condition, K)

    def __call__(self, x: Tensor, condition: Any) -> Tensor:
        """The pre-activation x with the condition's term; `condition` is None where the model has none."""
        return x if condition is None else x + ops.linear(condition, self.weight, None)

    def __repr__(self) -> str:
        if not hasattr(self, "weight"):
            return "Conditioning(of nothing)"
        K_condition, K = self.weight.shape
        return f"Conditioning(1x1, {K_condition} -> {K})"
