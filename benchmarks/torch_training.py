"""A training step of the twins (benchmarks/torch_twins.py), as PyTorch users write it, and our weights in them."""

import functools
import itertools
import math

import numpy as np
import torch
import torch_twins
from torch import nn
from torch.nn import functional

LAYOUTS = ("contiguous_format", "channels_last")


def twin_of(model):
    """The PyTorch model of the same kind, sizes, precision, weights and masks as ours, which is on the host."""
    options = {name: model.config[name] for name in SIZES[model.name]}
    options |= {"P": len(model.head.groups), "C": model.image_shape[2]}
    twin = torch_twins.TWINS[model.name](**options).to(getattr(torch, model.dtype))
    give(twin, model)
    return twin


SIZES = {
    "pixelcnn": ("hidden", "blocks"),
    "gated": ("filters", "layers"),
    "row-lstm": ("hidden", "layers"),
    "diagonal-bilstm": ("hidden", "layers"),
    "pixelcnnpp": ("filters", "resnets", "hierarchies"),
}


def effective_weights(model):
    """Layer by layer, in order: the weight that multiplies the input, and bias and mask, or None."""
    for path, named in itertools.groupby(model.named_parameters(), key=lambda item: item[0].rpartition(".")[0]):
        layer = {name.rpartition(".")[2]: parameter.data for name, parameter in named}
        weight = layer.pop("v") if "v" in layer else layer.pop("weight")
        if "gain" in layer:
            weight = weight * layer.pop("gain") / np.sqrt((weight**2).sum(axis=tuple(range(weight.ndim - 1))))
        yield weight, layer.pop("bias", None), getattr(at(model, path), "mask", None)
        assert not layer


def at(model, path):
    """The layer with that path of names and numbers, such as blocks.0.look."""
    return functools.reduce(
        lambda x, name: x[int(name)] if name.isdigit() else getattr(x, name), path.split("."), model
    )


def give(twin, model):
    """Copy our weights into the twin, whose layers are in the same order; of several colours our masks, too."""
    kinds = nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d
    layers = [layer for layer in twin.modules() if isinstance(layer, kinds)]
    with torch.no_grad():
        for layer, (weight, bias, mask) in zip(layers, effective_weights(model), strict=True):
            channels = (-2, -1) if isinstance(layer, nn.ConvTranspose2d) else (-1, -2)
            theirs = np.moveaxis(weight, channels, (0, 1)).copy()
            if hasattr(layer, "parametrizations"):  # weight normalisation splits what it is given
                layer.weight = torch.tensor(theirs.reshape(layer.weight.shape))
            else:
                layer.weight.copy_(torch.tensor(theirs.reshape(layer.weight.shape)))
            if model.image_shape[2] > 1 and isinstance(layer, torch_twins.MaskedConv2d):
                masks = np.moveaxis(mask.reshape(weight.shape), (-1, -2), (0, 1))
                layer.mask = torch.tensor(masks.reshape(layer.weight.shape)).to(layer.weight.dtype)
            assert (bias is None) == (layer.bias is None)
            if bias is not None:
                layer.bias.copy_(torch.tensor(bias))


def scaled(model, images):
    """Integers (N, H, W, C) -> (N, C, H, W) in [-1, 1], in the precision of our model, laid out as that shape says."""
    levels = torch.tensor(images.transpose(0, 3, 1, 2).copy())
    return levels.to(getattr(torch, model.dtype)) * (2 / (model.levels - 1)) - 1


def nats(twin, x, levels, head=None):
    """The mean negative log-likelihood of images x (N, C, H, W) in [-1, 1], in nats per image.

    `head` is that of our model: with more than 2 levels a mixture of logistics, unless it is "categorical".
    """
    out = twin(x)
    if head == "categorical":
        images = ((x + 1) * ((levels - 1) / 2)).round().long()
        logits = out.unflatten(1, (x.shape[1], levels)).transpose(1, 2)  # (N, levels, C, H, W)
        return functional.cross_entropy(logits, images, reduction="sum") / len(x)
    if levels == 2:
        return functional.binary_cross_entropy_with_logits(out, (x + 1) / 2, reduction="sum") / len(x)
    return mixture_nats(out, x, levels)


def mixture_nats(parameters, x, levels):
    """The same under a mixture of M logistics, as the reference code of PixelCNN++ computes it.

    The parameters are (N, 3 * M, H, W), or (N, 10 * M, H, W) for colours, whose means follow the earlier ones.
    """
    C = x.shape[1]
    rows = parameters.unflatten(1, (3 if C == 1 else 10, -1))  # (N, rows, M, H, W)
    logits, means, log_scales = rows[:, 0], rows[:, 1 : 1 + C], rows[:, 1 + C : 1 + 2 * C]
    x = x.unsqueeze(2)  # (N, C, 1, H, W)
    if C == 3:
        to_green, to_blue, green_to_blue = torch.tanh(rows[:, 7:]).unbind(dim=1)
        red, green = x[:, 0], x[:, 1]
        moved = means[:, 1] + to_green * red, means[:, 2] + to_blue * red + green_to_blue * green
        means = torch.stack([means[:, 0], *moved], dim=1)
    log_scales = log_scales.clamp(min=-7)
    precision, half_bin = torch.exp(-log_scales), 1 / (levels - 1)
    middle = precision * (x - means)
    upper, lower = precision * (x - means + half_bin), precision * (x - means - half_bin)
    mass = torch.sigmoid(upper) - torch.sigmoid(lower)
    log_density = middle - log_scales - 2 * functional.softplus(middle) + math.log(2 * half_bin)
    inside = torch.where(mass > 1e-5, torch.log(mass.clamp(min=1e-12)), log_density)
    log_mass = torch.where(x < -0.999, upper - functional.softplus(upper), inside)
    log_mass = torch.where(x > 0.999, -functional.softplus(lower), log_mass)
    return -torch.logsumexp(functional.log_softmax(logits, dim=1) + log_mass.sum(dim=1), dim=1).sum() / len(x)


class Step:
    """One training step of a twin, again and again on the same batch, which lies ready in the twin's memory layout.

    `compiled` has the options of torch.compile, which then compiles forward pass, loss and backward pass.
    """

    def __init__(self, model, images, layout, device="cpu", compiled=None):
        layout = getattr(torch, layout)
        self.twin = twin_of(model).train().to(device=device, memory_format=layout)
        self.x = scaled(model, images).to(device).contiguous(memory_format=layout)
        self.levels, self.head = model.levels, model.head.name
        self.optimizer = torch.optim.Adam(self.twin.parameters(), fused=True)
        self.nats = nats if compiled is None else torch.compile(nats, **compiled)

    def __call__(self):
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.nats(self.twin, self.x, self.levels, self.head)
        loss.backward()
        self.optimizer.step()


def disagreement(model, images):
    """How far the twin's loss is from ours, as a share of ours, with the same weights and nothing dropped."""
    with torch.no_grad():
        theirs = float(nats(twin_of(model).eval(), scaled(model, images), model.levels, model.head.name))
    mine = float(model.loss(images).data)
    return abs(theirs - mine) / max(mine, 1.0)  # a model that is nearly certain has next to no loss
