"""Models that strangers have checked, of our own writing, in PyTorch: what benchmarks/check.py times."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

import minipixel as mp


class MaskedConv(nn.Conv2d):
    """A convolution whose mask lets through what is above and to the left; in its own pixel, what the colours allow."""

    def __init__(self, kind, inputs, outputs, size, colours):
        super().__init__(inputs, outputs, size, padding=size // 2)
        mask = torch.zeros(outputs, inputs, size, size)
        mask[:, :, : size // 2], mask[:, :, size // 2, : size // 2] = 1, 1
        groups = [np.arange(channels) * colours // channels for channels in (outputs, inputs)]
        own = np.greater if kind == "A" else np.greater_equal
        mask[:, :, size // 2, size // 2] = torch.from_numpy(own.outer(*groups)).float()
        self.register_buffer("mask", mask)

    def forward(self, x):
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)


def pixelcnn(colours, filters, first="A", layers=7):
    """(N, C, H, W) -> (N, C*256, H, W): a 7x7 convolution, 3x3 ones, and 1x1 at the end."""
    net = [MaskedConv(first, colours, filters, 7, colours)]
    for _ in range(layers - 2):
        net += [nn.ReLU(), MaskedConv("B", filters, filters, 3, colours)]
    return nn.Sequential(*net, nn.ReLU(), MaskedConv("B", filters, 256 * colours, 1, colours))


def concat_elu(x):
    return F.elu(torch.cat([x, -x], dim=1))


class Shifted(nn.Conv2d):
    """A convolution that sees what is above, and to both sides or to the left alone; a stride halves, or doubles."""

    def __init__(self, inputs, outputs, size, stride=1):
        super().__init__(inputs, outputs, size, stride)
        H, W = size
        self.pad = (W // 2, W // 2, H - 1, 0) if W == 3 else (W - 1, 0, H - 1, 0)

    def forward(self, x):
        return super().forward(F.pad(x, self.pad))


class Gated(nn.Module):
    """A gated residual block of PixelCNN++, which may be told of another stream."""

    def __init__(self, filters, size, beside=0):
        super().__init__()
        self.first, self.second = Shifted(2 * filters, filters, size), Shifted(2 * filters, 2 * filters, size)
        self.beside = nn.Conv2d(2 * beside, filters, 1) if beside else None

    def forward(self, x, beside=None):
        y = self.first(concat_elu(x))
        if beside is not None:
            y = y + self.beside(concat_elu(beside))
        y, gate = self.second(concat_elu(y)).chunk(2, dim=1)
        return x + y * torch.sigmoid(gate)


class PixelCNNpp(nn.Module):
    """PixelCNN++ without its conditions: (N, 3, H, W) -> (N, 100, H, W); three levels, some blocks a level each way."""

    def __init__(self, filters=160, blocks=5):
        super().__init__()
        K, ones = filters, 1
        self.above, self.over = Shifted(3 + ones, K, (2, 3)), Shifted(3 + ones, K, (1, 3))
        self.left = Shifted(3 + ones, K, (2, 1))
        self.u = nn.ModuleList(nn.ModuleList(Gated(K, (2, 3)) for _ in range(blocks)) for _ in range(3))
        self.ul = nn.ModuleList(nn.ModuleList(Gated(K, (2, 2), K) for _ in range(blocks)) for _ in range(3))
        self.back_u = nn.ModuleList(nn.ModuleList(Gated(K, (2, 3), K) for _ in range(blocks)) for _ in range(3))
        self.back_ul = nn.ModuleList(nn.ModuleList(Gated(K, (2, 2), 2 * K) for _ in range(blocks)) for _ in range(3))
        self.halve = nn.ModuleList(Shifted(K, K, size, 2) for size in ((2, 3), (2, 2)) * 2)
        self.enlarge = nn.ModuleList(nn.Conv2d(K, 4 * K, 1) for _ in range(4))
        self.out = nn.Conv2d(K, 100, 1)

    def forward(self, x):
        x = torch.cat([x, torch.ones_like(x[:, :1])], dim=1)
        u = down(self.above(x))
        ul = down(self.over(x)) + to_the_right(self.left(x))
        kept = []
        for level in range(3):
            for block_u, block_ul in zip(self.u[level], self.ul[level], strict=True):
                u = block_u(u)
                ul = block_ul(ul, u)
                kept.append((u, ul))
            if level < 2:
                u, ul = self.halve[2 * level](u), self.halve[2 * level + 1](ul)
        for level in range(3):
            for block_u, block_ul in zip(self.back_u[level], self.back_ul[level], strict=True):
                skip_u, skip_ul = kept.pop()
                u = block_u(u, skip_u)
                ul = block_ul(ul, torch.cat([u, skip_ul], dim=1))
            if level < 2:
                u = F.pixel_shuffle(self.enlarge[2 * level](u), 2)
                ul = F.pixel_shuffle(self.enlarge[2 * level + 1](ul), 2)
        return self.out(F.elu(ul))


def down(x):
    return F.pad(x, (0, 0, 1, 0))[:, :, :-1]


def to_the_right(x):
    return F.pad(x, (1, 0))[:, :, :, :-1]


class Block(nn.Module):
    """A block of a transformer that writes its scores down, as much public code does."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        N, S, K = x.shape
        q, k, v = (
            part.view(N, S, self.heads, -1).transpose(1, 2) for part in self.qkv(self.norms[0](x)).chunk(3, dim=-1)
        )
        future = torch.ones(S, S, dtype=torch.bool).triu(1)
        scores = (q @ k.transpose(-1, -2) / (K / self.heads) ** 0.5).masked_fill(future, -torch.inf)
        x = x + self.out((scores.softmax(dim=-1) @ v).transpose(1, 2).reshape(N, S, K))
        return x + self.mlp(self.norms[1](x))


class Transformer(nn.Module):
    """(N, 1, H, W) -> (N, H*W, 256): an image as a sequence of pixels, moved on by one."""

    def __init__(self, side, width=256, heads=8, layers=12):
        super().__init__()
        self.into, self.places = nn.Linear(1, width), nn.Parameter(torch.randn(side * side, width))
        self.blocks = nn.Sequential(*[Block(width, heads) for _ in range(layers)])
        self.out = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 256))

    def forward(self, x):
        sequence = F.pad(self.into(x.flatten(1)[..., None]), (0, 0, 1, 0))[:, :-1]
        return self.out(self.blocks(sequence + self.places))


ROWS = {
    "PixelCNN, 28x28 grey": (
        lambda: pixelcnn(1, 64),
        lambda net: mp.check_causality(net, (1, 28, 28)),
    ),
    "PixelCNN, 32x32x3": (
        lambda: pixelcnn(3, 96),
        lambda net: mp.check_causality(net, (3, 32, 32)),
    ),
    "PixelCNN, 32x32x3, mask B first": (
        lambda: pixelcnn(3, 96, first="B"),
        lambda net: mp.check_causality(net, (3, 32, 32)),
    ),
    "PixelCNN++, 32x32x3, 160 filters": (
        PixelCNNpp,
        lambda net: mp.check_causality(net, (3, 32, 32), head="logistic_mixture"),
    ),
    "transformer, 32x32 grey, 12 layers of 256": (
        lambda: Transformer(32),
        lambda net: mp.check_causality(net, (1, 32, 32)),
    ),
}
"""By name: how to make the model, and how it is checked, with the default settings."""
