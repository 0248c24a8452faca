"""The PixelRNNs in PyTorch, a row and a column at a time: losses and gradients agree to 1e-10 in float64."""

import numpy as np
import pytest

import minipixel as mp
from minipixel.tensor import gradients

torch = pytest.importorskip("torch")
functional = torch.nn.functional

# Where PyTorch's axes (K_out, K_in, kh, kw) are in ours, by number of axes: biases, 1x1s, state-to-state, kernels.
AXES = {1: (0,), 2: (1, 0), 3: (2, 1, 0), 4: (3, 2, 0, 1)}


class Twin:
    """A model's weights in PyTorch's layout, and its forward pass on (N, C, H, W)."""

    def __init__(self, model):
        self.model = model
        self.weights = {
            name: torch.tensor(w.transpose(AXES[w.ndim]).copy(), requires_grad=True)
            for name, w in model.state_dict().items()
        }

    def gradient(self, name):
        found = self.weights[name].grad.numpy()
        return found.transpose(np.argsort(AXES[found.ndim]))

    def masked(self, x, path, mask):
        """The usual masked convolution, whatever the shape of the kernel."""
        mask = torch.tensor(mask.transpose(AXES[mask.ndim]).astype(float))
        weight = self.weights[f"{path}.weight"] * mask
        weight = weight if weight.ndim == 4 else weight[:, :, None, None]
        padding = (weight.shape[2] // 2, weight.shape[3] // 2)
        return functional.conv2d(x, weight, self.weights[f"{path}.bias"], padding=padding)

    def cell(self, path, gates, around, c):
        """One step for a row or a column: gates (N, 4h, L), states around (N, h, L + kernel - 1), cells (N, h, L)."""
        o, f, i, g = (gates + functional.conv1d(around, self.weights[f"{path}.weight"])).chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c

    def start(self, path, name, N, length):
        """The state beyond the border: learned or zero, (N, h, length)."""
        h = self.weights[f"{path}.weight"].shape[1]
        value = self.weights.get(f"{path}.{name}", torch.zeros(h, dtype=torch.float64))
        return value[None, :, None].expand(N, h, length)

    def gates(self, path, lstm, x, condition):
        z = self.masked(x, f"{path}.see", lstm.see.mask)
        if condition is None:
            return z
        return z + functional.conv2d(condition, self.weights[f"{path}.told.weight"][:, :, None, None])

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

    def loss(self, images, condition=None):
        model = self.model
        Q, (H, W, C) = model.levels, model.image_shape
        lstm = {"row-lstm": self.row_lstm, "diagonal-bilstm": self.diagonal_bilstm}[model.name]
        levels = torch.tensor(images.transpose(0, 3, 1, 2).copy()).long()
        x = levels.double() * (2 / (Q - 1)) - 1
        if condition is not None:
            condition = torch.tensor(condition.transpose(0, 3, 1, 2).copy())
        if getattr(model, "phantom_column", False):
            x = functional.pad(x, (0, 1))
            condition = condition if condition is None else functional.pad(condition, (0, 1))
        x, skipped = self.masked(x, "stem", model.stem.mask), 0
        for i, layer in enumerate(model.layers):
            states = lstm(f"layers.{i}", layer, x, condition)
            x = x + self.masked(states, f"widen.{i}", model.widen[i].mask)
            if model.skips:
                skipped = skipped + self.masked(states, f"skips.{i}", model.skips[i].mask)
        x = (x + skipped)[:, :, :, :W]
        for i, layer in enumerate(model.top.layers):
            x = self.masked(functional.relu(x), f"top.layers.{i}", layer.mask)
        if model.head.name == "bernoulli":
            return functional.binary_cross_entropy_with_logits(x, levels.double(), reduction="sum") / len(images)
        logits = x.reshape(len(images), C, Q, H, W).transpose(1, 2)
        return functional.cross_entropy(logits, levels, reduction="sum") / len(images)


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
    model.load_state_dict({key: 0.4 * rng.standard_normal(w.shape) for key, w in model.state_dict().items()})
    images, condition = rng.integers(0, levels, (4, *shape)), model.conditions.random(4, rng)
    twin = Twin(model)
    theirs = twin.loss(images, condition)
    theirs.backward()
    ours = model.loss(images, condition)
    assert float(ours.data) == pytest.approx(theirs.item(), rel=1e-10)
    names = [key for key, _ in model.named_parameters()]
    for key, gradient in zip(names, gradients(ours, model.parameters()), strict=True):
        wanted = twin.gradient(key)
        np.testing.assert_allclose(gradient, wanted, rtol=1e-10, atol=1e-10 * np.abs(wanted).max(), err_msg=key)
