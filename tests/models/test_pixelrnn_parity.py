"""The PixelRNNs in PyTorch, a row and a column at a time: losses and gradients agree to 1e-10 in float64."""

import numpy as np
import pytest
from torch_parity import Twin, assert_parity, functional, kernel, randomised, torch

import minipixel as mp


class PixelRNN(Twin):
    def cell(self, path, gates, around, c):
        """One step for a row or a column: gates (N, 4h, L), states around (N, h, L + kernel - 1), cells (N, h, L)."""
        o, f, i, g = (gates + functional.conv1d(around, kernel(self.weights[f"{path}.weight"]))).chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c

    def start(self, path, name, N, length):
        """The state beyond the border: learned or zero, (N, h, length)."""
        h = self.weights[f"{path}.weight"].shape[-2]
        value = self.weights.get(f"{path}.{name}", torch.zeros(h, dtype=torch.float64))
        return value[None, :, None].expand(N, h, length)

    def gates(self, path, lstm, x, condition):
        z = self.masked(x, f"{path}.see", lstm.see.mask)
        if condition is None:
            return z
        return z + functional.conv2d(condition, kernel(self.weights[f"{path}.told.weight"]))

    def row_lstm(self, path, layer, x, condition):
        gates = self.gates(f"{path}.lstm", layer.lstm, x, condition)
        N, _, H, W = gates.shape
        h, c = (self.start(f"{path}.lstm", name, N, W) for name in ("h0", "c0"))
        rows = []
        for r in range(H):
            h, c = self.cell(f"{path}.lstm", gates[:, :, r], functional.pad(h, (1, 1)), c)
            rows.append(h)
        return torch.stack(rows, dim=2)

    def diagonal_lstm(self, path, gates):
        N, _, H, W = gates.shape
        rows = [functional.pad(gates[:, :, r], (r, H - 1 - r)) for r in range(H)]
        skewed = torch.stack(rows, dim=2)  # (N, 4h, H, W + H - 1)
        h_start, c_start = (self.start(path, name, N, H) for name in ("h0", "c0"))
        h, c, columns = h_start, c_start, []
        for d in range(W + H - 1):
            h, c = self.cell(path, skewed[:, :, :, d], functional.pad(h, (1, 0)), c)
            begun = torch.arange(H) <= d  # rows further down are still left of the image, where the start state is
            h, c = torch.where(begun, h, h_start), torch.where(begun, c, c_start)
            columns.append(h)
        states = torch.stack(columns, dim=3)
        return torch.stack([states[:, :, r, r : r + W] for r in range(H)], dim=2)

    def diagonal_bilstm(self, path, layer, x, condition):
        left = self.diagonal_lstm(f"{path}.left", self.gates(f"{path}.left", layer.left, x, condition))
        gates = self.gates(f"{path}.right", layer.right, x, condition)
        right = self.diagonal_lstm(f"{path}.right", gates.flip(3)).flip(3)
        return left + functional.pad(right, (0, 0, 1, 0))[:, :, :-1]

    def forward(self, x, condition):
        model, W = self.model, x.shape[3]
        lstm = {"row-lstm": self.row_lstm, "diagonal-bilstm": self.diagonal_bilstm}[model.name]
        if getattr(model, "phantom_column", False):
            x = functional.pad(x, (0, 1))
            condition = condition if condition is None else functional.pad(condition, (0, 1))
        x, skipped = self.masked(x, "stem", model.stem.mask), 0
        for i, layer in enumerate(model.layers):
            states = lstm(f"layers.{i}", layer, x, condition)
            x = x + self.masked(states, f"widen.{i}", model.widen[i].mask)
            if model.skips:
                skipped = skipped + self.masked(states, f"skips.{i}", model.skips[i].mask)
        return self.top((x + skipped)[:, :, :, :W])


@pytest.mark.parametrize("name", ["row-lstm", "diagonal-bilstm", "diagonal-bilstm-as-published"])
@pytest.mark.parametrize(
    ("shape", "levels", "options"),
    [
        ((7, 5, 1), 2, {}),
        ((4, 7, 1), 5, {"skip": True, "learned_state": True}),
        ((5, 4, 3), 2, {"condition_shape": (5, 4, 2), "learned_state": True}),
        ((3, 5, 3), 4, {"skip": True, "head_width": 9}),
        ((1, 6, 1), 3, {"learned_state": True}),
        ((6, 1, 3), 2, {"learned_state": True}),
    ],
    ids=str,
)
def test_parity(name, shape, levels, options):
    if name == "diagonal-bilstm-as-published":
        name, options = "diagonal-bilstm", options | {"phantom_column": False}
    model = mp.models.MODELS[name](shape, levels, hidden=7, layers=2, dtype="float64", **options)
    rng = np.random.default_rng(0)
    twin = PixelRNN(randomised(model, 0.4, rng))
    assert_parity(twin, rng.integers(0, levels, (4, *shape)), model.conditions.random(4, rng))
