"""Gated PixelCNN in PyTorch, the usual way: kernels cropped to what lies above or to the left, padding there.

Rows that stick out below are cropped. Losses and gradients agree to 1e-10 in float64.
"""

import numpy as np
import pytest
from torch_parity import Twin, assert_parity, functional, kernel, torch

import minipixel as mp


class GatedPixelCNN(Twin):
    def weight(self, path):
        return kernel(self.weights[f"{path}.weight"]), self.weights[f"{path}.bias"]

    def vertical(self, x, path, n, first, d):
        weight, bias = self.weight(path)
        weight, side = weight[:, :, : n // 2 + (not first)], n // 2 * d
        return functional.conv2d(functional.pad(x, (side, side, side, 0)), weight, bias, dilation=d)[:, :, : x.shape[2]]

    def horizontal(self, x, path, n, centre, d):
        """`centre`: which channels of the pixel itself are read, one row a unit of the gate: (p, K_in)."""
        weight, bias = self.weight(path)
        own = weight[..., n // 2 : n // 2 + 1] * torch.tensor(np.tile(centre, (2, 1)))[:, :, None, None]
        weight = torch.cat([weight[..., : n // 2], own], -1)
        return functional.conv2d(functional.pad(x, (n // 2 * d, 0, 0, 0)), weight, bias, dilation=d)

    def gate(self, x):
        a, b = x.chunk(2, dim=1)
        return torch.tanh(a) * torch.sigmoid(b)

    def forward(self, x, condition):
        model, colours = self.model, np.arange(self.model.config["filters"]) % x.shape[1]
        dilations = [1, *(list(model.config["dilations"]) * len(model.layers))]
        v = h = x
        for i in range(len(model.layers)):
            path, d = f"layers.{i}", dilations[i]
            n = model.config["kernel" if i else "first_kernel"]
            centre = colours <= colours[:, None] if i else np.arange(x.shape[1]) < colours[:, None]
            above = self.vertical(v, f"{path}.vertical", n, i == 0, d)
            link = functional.conv2d(above, *self.weight(f"{path}.link"))
            y = self.gate(self.horizontal(h, f"{path}.horizontal", n, centre, d) + link)
            y = self.masked(y, f"{path}.out", colours[:, None] <= colours)
            v, h = self.gate(above), h + y if i else y
        return self.top(h)


@pytest.mark.parametrize(
    ("shape", "levels", "options"),
    [
        ((9, 7, 1), 2, {}),
        ((6, 8, 1), 5, {"first_kernel": 5, "dilations": (2, 1, 3)}),
        ((5, 6, 3), 2, {"kernel": 5}),
        ((4, 5, 3), 4, {"head_width": 9, "first_kernel": 3}),
    ],
)
def test_parity(shape, levels, options):
    model = mp.models.GatedPixelCNN(shape, levels, filters=7, layers=4, dtype="float64", rng=3, **options)
    assert_parity(GatedPixelCNN(model), np.random.default_rng(0).integers(0, levels, (4, *shape)))
