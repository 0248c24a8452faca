"""The same model in PyTorch, the way its users write it: losses and gradients agree to 1e-10 in float64."""

import numpy as np
import pytest

import minipixel as mp
from minipixel.tensor import gradients

torch = pytest.importorskip("torch")
functional = torch.nn.functional


def kernel(array):
    """(kh, kw, K_in, K_out) or (K_in, K_out) -> PyTorch's (K_out, K_in, kh, kw), a leaf that wants a gradient."""
    array = array if array.ndim == 4 else array[None, None]
    return torch.tensor(array.transpose(3, 2, 0, 1).copy(), requires_grad=True)


def to_ours(gradient, like):
    back = gradient.numpy().transpose(2, 3, 1, 0)
    return back if like.ndim == 4 else back[0, 0]


def torch_weights(model):
    return {
        name: kernel(w) if name.endswith("weight") else torch.tensor(w, requires_grad=True)
        for name, w in model.state_dict().items()
    }


def masked(x, weights, path, mask):
    """The usual masked convolution: pad, multiply the whole kernel by the mask, convolve."""
    weight = weights[f"{path}.weight"] * kernel(mask.astype(float)).detach()
    return functional.conv2d(x, weight, weights[f"{path}.bias"], padding=weight.shape[-1] // 2)


def torch_loss(model, weights, images):
    """PixelCNN's forward pass and loss, in PyTorch's layout (N, C, H, W)."""
    relu = functional.relu
    Q, (H, W, C) = model.levels, model.image_shape
    levels = torch.tensor(images.transpose(0, 3, 1, 2).copy()).long()
    x = masked(levels.double() * (2 / (Q - 1)) - 1, weights, "stem", model.stem.mask)
    for i, block in enumerate(model.blocks):
        y = masked(relu(x), weights, f"blocks.{i}.narrow", block.narrow.mask)
        y = masked(relu(y), weights, f"blocks.{i}.look", block.look.mask)
        x = x + masked(relu(y), weights, f"blocks.{i}.widen", block.widen.mask)
    for i, layer in enumerate(model.top.layers):
        x = masked(relu(x), weights, f"top.layers.{i}", layer.mask)
    if model.head.name == "bernoulli":
        return functional.binary_cross_entropy_with_logits(x, levels.double(), reduction="sum") / len(images)
    logits = x.reshape(len(images), C, Q, H, W).transpose(1, 2)
    return functional.cross_entropy(logits, levels, reduction="sum") / len(images)


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
    images = np.random.default_rng(0).integers(0, levels, (4, *shape))
    weights = torch_weights(model)
    theirs = torch_loss(model, weights, images)
    theirs.backward()
    ours = model.loss(images)
    assert float(ours.data) == pytest.approx(theirs.item(), rel=1e-10)
    names = [name for name, _ in model.named_parameters()]
    for name, gradient in zip(names, gradients(ours, model.parameters()), strict=True):
        wanted = weights[name].grad
        wanted = to_ours(wanted, gradient) if name.endswith("weight") else wanted.numpy()
        np.testing.assert_allclose(gradient, wanted, rtol=1e-10, atol=1e-10 * np.abs(wanted).max(), err_msg=name)


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
    t_weight, t_bias = kernel(weight), torch.tensor(bias, requires_grad=True)
    padding = (kernel_size[0] // 2, kernel_size[1] // 2)
    theirs = functional.conv2d(t_x, t_weight * kernel(mask.astype(float)).detach(), t_bias, padding=padding)
    theirs.backward(torch.tensor(seed.transpose(2, 3, 0, 1).copy()))
    np.testing.assert_allclose(ours.data, theirs.detach().numpy().transpose(2, 3, 0, 1), rtol=1e-10, atol=1e-12)
    wanted = t_x.grad.numpy().transpose(2, 3, 0, 1), to_ours(t_weight.grad, weight), t_bias.grad.numpy()
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-11)
