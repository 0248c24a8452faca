"""The same model in PyTorch: what every comparison shares. Loss and gradients must agree to 1e-10 in float64.

Who imports this is skipped where PyTorch is not installed.
"""

import numpy as np
import pytest

from minipixel.tensor import gradients

torch = pytest.importorskip("torch")
functional = torch.nn.functional

torch.set_num_threads(1)  # on maps as small as these its threads mostly spin: measured, 17 times the CPU seconds


def channels_first(images):
    """(N, H, W, C), or (N, H, W, K) of a condition -> a tensor (N, C, H, W)."""
    return torch.tensor(images.transpose(0, 3, 1, 2).copy())


def kernel(weight):
    """Our (..., K_in, K_out) -> PyTorch's (K_out, K_in, ...), a 1x1 for a 2-d weight; differentiable."""
    weight = weight.permute(-1, -2, *range(weight.ndim - 2))
    return weight[:, :, None, None] if weight.ndim == 2 else weight


class Twin:
    """A model's weights as PyTorch tensors in our layout; a subclass writes the forward pass as PyTorch's users do."""

    def __init__(self, model):
        self.model = model
        self.weights = {name: torch.tensor(w, requires_grad=True) for name, w in model.state_dict().items()}

    def forward(self, x, condition):
        """Images in [-1, 1] (N, C, H, W), and None or conditions (N, K, H or 1, W or 1) -> parameters (N, P, H, W)."""
        raise NotImplementedError

    def masked(self, x, path, mask):
        """The usual masked convolution, whatever the shape of the kernel: pad, multiply all of it by the mask."""
        weight = kernel(self.weights[f"{path}.weight"] * torch.tensor(mask))
        padding = weight.shape[2] // 2, weight.shape[3] // 2
        return functional.conv2d(x, weight, self.weights[f"{path}.bias"], padding=padding)

    def top(self, x):
        """Rectified masked 1x1 layers, the last of which gives the head's parameters."""
        for i, layer in enumerate(self.model.top.layers):
            x = self.masked(functional.relu(x), f"top.layers.{i}", layer.mask)
        return x

    def loss(self, images, condition):
        """The mean negative log-likelihood of integers (N, H, W, C), in nats per image."""
        if condition is not None and condition.ndim == 1:
            condition = np.eye(self.model.conditions.num_classes)[condition]
        if condition is not None and condition.ndim == 2:
            condition = condition[:, None, None]
        told = None if condition is None else channels_first(condition)
        levels = channels_first(images).long()
        parameters = self.forward(levels.double() * (2 / (self.model.levels - 1)) - 1, told)
        return self.nats(parameters, levels) / len(images)

    def nats(self, parameters, levels):
        """-log p of all images together, from parameters (N, P, H, W) and levels (N, C, H, W)."""
        if self.model.head.name == "bernoulli":
            return functional.binary_cross_entropy_with_logits(parameters, levels.double(), reduction="sum")
        N, C, H, W = levels.shape
        logits = parameters.reshape(N, C, self.model.levels, H, W).transpose(1, 2)
        return functional.cross_entropy(logits, levels, reduction="sum")


def randomised(model, scale, rng):
    """The model with normal random numbers in all weights, those that start at zero too."""
    model.load_state_dict({name: scale * rng.standard_normal(w.shape) for name, w in model.state_dict().items()})
    return model


def assert_parity(twin, images, condition=None, floor=0.0):
    """Loss and gradients agree to 1e-10: gradients relative to the largest of their weight, or `floor` if larger."""
    theirs = twin.loss(images, condition)
    theirs.backward()
    ours = twin.model.loss(images, condition)
    assert float(ours.data) == pytest.approx(theirs.item(), rel=1e-10)
    found = gradients(ours, twin.model.parameters())
    for (name, _), gradient in zip(twin.model.named_parameters(), found, strict=True):
        wanted = twin.weights[name].grad.numpy()
        scale = max(floor, np.abs(wanted).max())
        np.testing.assert_allclose(gradient, wanted, rtol=1e-10, atol=1e-10 * scale, err_msg=name)
