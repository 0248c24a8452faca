"""The same model in PyTorch, the way its users write it: losses and gradients agree to 1e-10 in float64."""

import numpy as np
import pytest
from torch_parity import Twin, assert_parity, functional, kernel, torch

import minipixel as mp
from minipixel.tensor import gradients


class PixelCNN(Twin):
    def forward(self, x, condition):
        relu = functional.relu
        x = self.masked(x, "stem", self.model.stem.mask)
        for i, block in enumerate(self.model.blocks):
            y = self.masked(relu(x), f"blocks.{i}.narrow", block.narrow.mask)
            y = self.masked(relu(y), f"blocks.{i}.look", block.look.mask)
            x = x + self.masked(relu(y), f"blocks.{i}.widen", block.widen.mask)
        return self.top(x)


@pytest.mark.parametrize(
    ("shape", "levels", "head"),
    [
        ((9, 7, 1), 2, "bernoulli"),
        ((6, 8, 1), 5, "categorical"),
        ((5, 6, 3), 2, "bernoulli"),
        ((4, 5, 3), 4, "categorical"),
    ],
)
def test_pixelcnn(shape, levels, head):
    model = mp.models.PixelCNN(shape, levels, hidden=7, blocks=3, head_width=9, head=head, dtype="float64", rng=3)
    assert_parity(PixelCNN(model), np.random.default_rng(0).integers(0, levels, (4, *shape)))


@pytest.mark.parametrize("kind", ["A", "B"])
@pytest.mark.parametrize(("kernel_size", "C"), [((3, 3), 1), ((5, 5), 3), ((7, 7), 3), ((1, 3), 1)])
def test_conv2d(kind, kernel_size, C):
    rng = np.random.default_rng(0)
    groups_in, groups_out = mp.nn.colour_groups(2 * C, C), mp.nn.colour_groups(3 * C, C)
    mask = mp.nn.causal_mask(kernel_size, groups_in, groups_out, kind)
    x, weight, bias = rng.standard_normal((6, 5, 3, 2 * C)), rng.standard_normal(mask.shape), rng.standard_normal(3 * C)
    tensors = [mp.Tensor(a) for a in (x, weight, bias)]
    ours = mp.ops.conv2d(*tensors, mask=mask)
    seed = rng.standard_normal(ours.shape)
    found = gradients(ours, tensors, seed)

    t_x = torch.tensor(x.transpose(2, 3, 0, 1).copy(), requires_grad=True)
    t_weight, t_bias = (torch.tensor(a, requires_grad=True) for a in (weight, bias))
    padding = (kernel_size[0] // 2, kernel_size[1] // 2)
    theirs = functional.conv2d(t_x, kernel(t_weight * torch.tensor(mask)), t_bias, padding=padding)
    theirs.backward(torch.tensor(seed.transpose(2, 3, 0, 1).copy()))
    np.testing.assert_allclose(ours.data, theirs.detach().numpy().transpose(2, 3, 0, 1), rtol=1e-10, atol=1e-12)
    wanted = t_x.grad.numpy().transpose(2, 3, 0, 1), t_weight.grad.numpy(), t_bias.grad.numpy()
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-11)
