"""The five models in PyTorch, of the same sizes as ours, and the sampling loop that comes with them: what is timed
against minipixel in benchmarks/sampling.py.

They are written as PyTorch users write them. A masked convolution multiplies its kernel by a mask and convolves with
all of it; an LSTM is a Python loop over rows or diagonals; sampling runs the whole network for every pixel. Images are
(N, 1, H, W), one logit per pixel comes out. Arguments are named as in our constructors; tests/test_twins.py gives each
twin our weights and expects our logits. For images of C colours, and P numbers per pixel, the kernels of 1x1 layers are
multiplied by masks as well, since a colour may not read those after it: torch_training.py puts our masks there.
"""

import functools

import torch
from torch import nn
from torch.nn import functional
from torch_pixelcnnpp import PixelCNNpp, shift_down


@torch.inference_mode()
def naive_sample(model, n, H, W):
    """Draw n binary images, (n, 1, H, W): a forward pass per pixel, in raster order."""
    images = torch.zeros(n, 1, H, W, device=next(model.parameters()).device)
    for r in range(H):
        for c in range(W):
            naive_step(model, images, r, c)
    return images


def naive_step(model, images, r, c):
    """Draw pixel (r, c) of images (N, 1, H, W), in place, given those before it."""
    images[:, :, r, c] = torch.bernoulli(torch.sigmoid(model(images)[:, :, r, c]))


def raster_mask(kh, kw, kind):
    """Ones before the centre in raster order, and at the centre of a mask B: (kh, kw)."""
    mask = torch.zeros(kh * kw)
    mask[: kh * kw // 2 + (kind == "B")] = 1
    return mask.view(kh, kw)


class MaskedConv2d(nn.Conv2d):
    def __init__(self, K_in, K_out, mask):
        kh, kw = mask.shape
        super().__init__(K_in, K_out, (kh, kw), padding=(kh // 2, kw // 2))
        self.register_buffer("mask", mask)

    def forward(self, x):
        return functional.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)


def pointwise(K_in, K_out, C):
    """A 1x1 layer; of several colours, one with a mask."""
    return nn.Conv2d(K_in, K_out, 1) if C == 1 else MaskedConv2d(K_in, K_out, raster_mask(1, 1, "B"))


class Block(nn.Module):
    def __init__(self, h, C=1):
        super().__init__()
        self.narrow = pointwise(2 * h, h, C)
        self.look = MaskedConv2d(h, h, raster_mask(3, 3, "B"))
        self.widen = pointwise(h, 2 * h, C)

    def forward(self, x):
        y = self.narrow(functional.relu(x))
        y = self.look(functional.relu(y))
        return x + self.widen(functional.relu(y))


class Top(nn.Sequential):
    """Two 1x1 layers as wide as what comes in, and one to the logit, or to P numbers."""

    def __init__(self, K, P=1, C=1):
        widths = (K, K), (K, K), (K, P)
        super().__init__(*[layer for width in widths for layer in (nn.ReLU(), pointwise(*width, C))])


class PixelCNN(nn.Sequential):
    def __init__(self, hidden, blocks, P=1, C=1):
        stem = MaskedConv2d(C, 2 * hidden, raster_mask(7, 7, "A"))
        super().__init__(stem, *[Block(hidden, C) for _ in range(blocks)], Top(2 * hidden, P, C))


def rows_mask(n, kind):
    """Ones in the rows above the centre, and in its own row for a mask B: (n, n)."""
    mask = torch.zeros(n, n)
    mask[: n // 2 + (kind == "B")] = 1
    return mask


def gate(x):
    a, b = x.chunk(2, dim=1)
    return torch.tanh(a) * torch.sigmoid(b)


class GatedLayer(nn.Module):
    def __init__(self, K_in, p, n, kind, C=1):
        super().__init__()
        self.kind = kind
        self.vertical = MaskedConv2d(K_in, 2 * p, rows_mask(n, kind))
        self.link = nn.Conv2d(2 * p, 2 * p, 1)
        self.horizontal = MaskedConv2d(K_in, 2 * p, raster_mask(1, n, kind))
        self.out = pointwise(p, p, C)

    def forward(self, v, h):
        above = self.vertical(v)
        y = self.out(gate(self.horizontal(h) + self.link(above)))
        return gate(above), y if self.kind == "A" else h + y


class GatedPixelCNN(nn.Module):
    def __init__(self, filters, layers, P=1, C=1):
        super().__init__()
        later = [GatedLayer(filters, filters, 3, "B", C) for _ in range(layers - 1)]
        self.layers = nn.ModuleList([GatedLayer(C, filters, 7, "A", C), *later])
        self.top = Top(filters, P, C)

    def forward(self, x):
        v = h = x
        for layer in self.layers:
            v, h = layer(v, h)
        return self.top(h)


class LSTM(nn.Module):
    """What the map says to the gates, for all of it at once; then a loop over its rows.

    A cell reads `window` states of the row before: 3 are left, middle and right, 2 are left and middle.
    """

    by_index = False
    """Whether rows are taken one by one, as most code does: on the way back each of them makes a whole map of zeros."""

    def __init__(self, see, h, window):
        super().__init__()
        self.see = see
        self.state = nn.Conv1d(h, 4 * h, window, padding=1, bias=False)

    def scan(self, gates):
        """(N, 4h, rows, columns) -> the states, (N, h, rows, columns)."""
        N, K, _, columns = gates.shape
        h = c = gates.new_zeros(N, K // 4, columns)
        states = []
        rows = [gates[:, :, r] for r in range(gates.shape[2])] if self.by_index else gates.unbind(dim=2)
        for row in rows:
            o, f, i, g = (row + self.state(h)[:, :, :columns]).chunk(4, dim=1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            states.append(h)
        return torch.stack(states, dim=2)


class RowLayer(LSTM):
    def __init__(self, h, C=1):
        super().__init__(MaskedConv2d(2 * h, 4 * h, raster_mask(1, 3, "B")), h, 3)

    def forward(self, x):
        return self.scan(self.see(x))


class DiagonalHalf(LSTM):
    def __init__(self, h, C=1):
        super().__init__(pointwise(2 * h, 4 * h, C), h, 2)

    def forward(self, x):
        columns = skew(self.see(x)).transpose(2, 3)
        return unskew(self.scan(columns).transpose(2, 3))


def skew(x):
    """Move row r to the right by r: (N, K, H, W) -> (N, K, H, W+H-1)."""
    N, K, H, W = x.shape
    return functional.pad(x, (0, H)).reshape(N, K, H * (W + H))[:, :, :-H].reshape(N, K, H, W + H - 1)


def unskew(x):
    """And back: (N, K, H, W+H-1) -> (N, K, H, W)."""
    N, K, H, wide = x.shape
    return functional.pad(x.reshape(N, K, H * wide), (0, H)).reshape(N, K, H, wide + 1)[:, :, :, : wide + 1 - H]


class DiagonalLayer(nn.Module):
    def __init__(self, h, C=1):
        super().__init__()
        self.left, self.right = DiagonalHalf(h, C), DiagonalHalf(h, C)

    def forward(self, x):
        return self.left(x) + shift_down(self.right(x.flip(3)).flip(3))


class PixelRNN(nn.Module):
    def __init__(self, layer, hidden, layers, P=1, C=1):
        super().__init__()
        self.stem = MaskedConv2d(C, 2 * hidden, raster_mask(7, 7, "A"))
        self.layers = nn.ModuleList([layer(hidden, C) for _ in range(layers)])
        self.widen = nn.ModuleList([pointwise(hidden, 2 * hidden, C) for _ in range(layers)])
        self.top = Top(2 * hidden, P, C)

    def forward(self, x):
        x = self.stem(x)
        for layer, widen in zip(self.layers, self.widen, strict=True):
            x = x + widen(layer(x))
        return self.top(x)


# By the names of our models.
TWINS = {
    "pixelcnn": PixelCNN,
    "gated": GatedPixelCNN,
    "row-lstm": functools.partial(PixelRNN, RowLayer),
    "diagonal-bilstm": functools.partial(PixelRNN, DiagonalLayer),
    "pixelcnnpp": PixelCNNpp,
}
