"""Top: the last layers of the models of the first two papers."""

import itertools
from typing import Any

import numpy as np

from minipixel.nn.activation import ACTIVATIONS
from minipixel.nn.conv import Pointwise
from minipixel.nn.init import Init
from minipixel.nn.masks import colour_groups
from minipixel.nn.module import Module
from minipixel.tensor import Tensor


class Top(Module):
    """Three 1x1 layers with mask B, each after an activation: two to `width` features, one to the head's parameters.

    `groups_in` has the colours of the input features, each colour at least once, `groups_out` those of the parameters.
    Source: van den Oord et al. 2016, arXiv:1601.06759, table 1.
    """

    def __init__(
        self, groups_in: np.ndarray, width: int, groups_out: np.ndarray, init: Init, activation: str = "relu"
    ) -> None:
        between = colour_groups(width, int(groups_in.max()) + 1)
        widths = [groups_in, between, between, groups_out]
        self.activations = [ACTIVATIONS[activation](len(groups), init) for groups in widths[:-1]]
        self.layers = [Pointwise(a, b, init) for a, b in itertools.pairwise(widths)]

    def __call__(self, x: Any) -> Tensor:
        """(H, W, N, K_in) -> (H, W, N, K_out)."""
        for activation, layer in zip(self.activations, self.layers, strict=True):
            x = layer(activation(x))
        return x
