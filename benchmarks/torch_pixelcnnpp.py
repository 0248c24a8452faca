"""PixelCNN++ in PyTorch, one of the twins of benchmarks/torch_twins.py: images (N, C, H, W) to P numbers per pixel.

Its streams look up (2x3 kernels) and up and left (2x2) by padding on those sides alone. All weights are normalised.
"""

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm


class Conv(nn.Module):
    """A convolution that ends at its own pixel: `pad` is (left, right, top), with nothing below."""

    def __init__(self, K_in, K_out, kernel, pad, stride=1):
        super().__init__()
        self.pad = (*pad, 0)
        self.conv = weight_norm(nn.Conv2d(K_in, K_out, kernel, stride))

    def forward(self, x):
        return self.conv(functional.pad(x, self.pad))


def down(K_in, K_out, stride=1):
    return Conv(K_in, K_out, (2, 3), (1, 1, 1), stride)


def down_right(K_in, K_out, stride=1):
    return Conv(K_in, K_out, (2, 2), (1, 0, 1), stride)


def pointwise(K_in, K_out):
    return weight_norm(nn.Conv2d(K_in, K_out, 1))


def concat_elu(x):
    return functional.elu(torch.cat([x, -x], dim=1))


class GatedResidual(nn.Module):
    def __init__(self, conv, F, K_skip):
        super().__init__()
        self.first = conv(2 * F, F)
        self.skip = pointwise(2 * K_skip, F) if K_skip else None
        self.drop = nn.Dropout(0.5)
        self.second = conv(2 * F, 2 * F)

    def forward(self, x, skip=None):
        y = self.first(concat_elu(x))
        if self.skip is not None:
            y = y + self.skip(concat_elu(skip))
        a, b = self.second(self.drop(concat_elu(y))).chunk(2, dim=1)
        return x + a * torch.sigmoid(b)


class Pair(nn.Module):
    """A layer of each stream: u, the rows above, then ul, above and left, which is told of u."""

    def __init__(self, F, way_back):
        super().__init__()
        self.u = GatedResidual(down, F, F if way_back else 0)
        self.ul = GatedResidual(down_right, F, 2 * F if way_back else F)

    def forward(self, u, ul, twin=None):
        if twin is None:
            u = self.u(u)
            return u, self.ul(ul, u)
        u = self.u(u, twin[0])
        return u, self.ul(ul, torch.cat([u, twin[1]], dim=1))


class Level(nn.Module):
    """Pairs on the way in, a level of half the size, and pairs on the way back, each told of its twin on the way in."""

    def __init__(self, F, resnets, levels_below):
        super().__init__()
        self.way_in = nn.ModuleList([Pair(F, False) for _ in range(resnets)])
        self.below = Level(F, resnets, levels_below - 1) if levels_below else None
        if levels_below:
            self.halve = nn.ModuleList([down(F, F, stride=2), down_right(F, F, stride=2)])
            enlarge_u = nn.ConvTranspose2d(F, F, (2, 3), stride=2, padding=(0, 1), output_padding=(0, 1))
            enlarge_ul = nn.ConvTranspose2d(F, F, (2, 2), stride=2)
            self.enlarge = nn.ModuleList([weight_norm(conv, dim=1) for conv in (enlarge_u, enlarge_ul)])
        self.way_back = nn.ModuleList([Pair(F, True) for _ in range(resnets + bool(levels_below))])

    def forward(self, u, ul):
        seen = [(u, ul)]
        for pair in self.way_in:
            u, ul = pair(u, ul)
            seen.append((u, ul))
        if self.below is None:
            seen.pop()
        else:
            u, ul = self.below(*(halve(stream) for halve, stream in zip(self.halve, (u, ul), strict=True)))
            u, ul = (enlarge(stream) for enlarge, stream in zip(self.enlarge, (u, ul), strict=True))
        for pair in self.way_back:
            u, ul = pair(u, ul, seen.pop())
        return u, ul


class PixelCNNpp(nn.Module):
    """For images whose height and width can be halved `hierarchies` - 1 times; P numbers per pixel come out."""

    def __init__(self, filters, resnets, hierarchies, P=1, C=1):
        super().__init__()
        self.above = down(C + 1, filters)
        self.up = Conv(C + 1, filters, (1, 3), (1, 1, 0))
        self.left = Conv(C + 1, filters, (2, 1), (0, 0, 1))
        self.level = Level(filters, resnets, hierarchies - 1)
        self.out = pointwise(filters, P)

    def forward(self, x):
        x = torch.cat([x, torch.ones_like(x[:, :1])], dim=1)  # zeros past the border differ from dark pixels
        u = shift_down(self.above(x))
        ul = shift_down(self.up(x)) + shift_right(self.left(x))
        u, ul = self.level(u, ul)
        return self.out(functional.elu(ul))


def shift_down(x):
    return functional.pad(x, (0, 0, 1, -1))


def shift_right(x):
    return functional.pad(x, (1, -1))
