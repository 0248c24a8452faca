"""A class-conditional Gated PixelCNN over codes in PyTorch, as priors of VQ-VAEs are written: what codes.py times.

Codes go through nn.Embedding; the class through one, too, for each gate. Arguments have the names of our constructor;
tests/test_twins.py gives it our weights, and expects our loss and gradients.
"""

import itertools

import torch
from torch import nn
from torch.nn import functional
from torch_twins import GatedLayer, gate


class ToldLayer(GatedLayer):
    """A layer whose gates are told the class."""

    def __init__(self, K_in, p, n, kind, num_classes):
        super().__init__(K_in, p, n, kind)
        self.told_vertical = nn.Embedding(num_classes, 2 * p)
        self.told_horizontal = nn.Embedding(num_classes, 2 * p)

    def forward(self, v, h, labels):
        above = self.vertical(v) + self.told_vertical(labels)[:, :, None, None]
        row = self.horizontal(h) + self.link(above) + self.told_horizontal(labels)[:, :, None, None]
        y = self.out(gate(row))
        return gate(above), y if self.kind == "A" else h + y


class CodePrior(nn.Module):
    """Codes (N, H, W) of Q levels and labels (N,) -> logits (N, Q, H, W)."""

    def __init__(self, levels, num_classes, filters, layers, embedding_width):
        super().__init__()
        self.table = nn.Embedding(levels, embedding_width)
        later = [ToldLayer(filters, filters, 3, "B", num_classes) for _ in range(layers - 1)]
        self.layers = nn.ModuleList([ToldLayer(embedding_width, filters, 7, "A", num_classes), *later])
        widths = [filters, filters, filters, levels]
        self.top = nn.ModuleList([nn.Conv2d(a, b, 1) for a, b in itertools.pairwise(widths)])

    def forward(self, codes, labels):
        v = h = self.table(codes).permute(0, 3, 1, 2)
        for layer in self.layers:
            v, h = layer(v, h, labels)
        for layer in self.top:
            h = layer(functional.relu(h))
        return h


def nats(twin, codes, labels):
    """The mean negative log-likelihood, in nats a grid."""
    return functional.cross_entropy(twin(codes, labels), codes, reduction="sum") / len(codes)


def twin_of(model):
    """The twin of ours, with its weights."""
    config = model.config
    names = ("levels", "num_classes", "filters", "layers", "embedding_width")
    twin = CodePrior(**{name: config[name] for name in names}).to(getattr(torch, model.dtype))
    given, theirs = model.state_dict(), twin.state_dict()
    for name, array in given.items():
        if name == "encoding.table":
            theirs["table.weight"] = torch.tensor(array[0])
            continue
        weight = torch.tensor(array)
        name = name.replace("top.layers", "top")
        if ".told_" in name or name.endswith("bias"):
            theirs[name] = weight
        else:
            convolved = weight if weight.ndim == 4 else weight[None, None]
            theirs[name] = convolved.permute(3, 2, 0, 1).contiguous()
    twin.load_state_dict(theirs)
    return twin
