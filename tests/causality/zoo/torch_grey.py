"""Grey PixelCNNs as people write them in PyTorch: where masks are kept, what stands between layers, how they shift."""

import torch
from torch import nn


def raster_mask(kind, size=3):
    """A: only what is drawn before; B: the pixel itself, too; "below": B, with the rows below left open; "none"."""
    mask, centre = torch.ones(size, size), size // 2
    if kind != "none":
        mask[centre, centre + (kind != "A") :] = 0
    if kind in "AB":
        mask[centre + 1 :] = 0
    return mask


class MaskedConv2d(nn.Conv2d):
    """The mask is a buffer, multiplied in at each forward pass."""

    def __init__(self, kind: str, inputs: int, outputs: int, size: int, **options):
        super().__init__(inputs, outputs, size, padding=size // 2, **options)
        self.register_buffer("mask", raster_mask(kind, size))

    def forward(self, x):
        return self._conv_forward(x, self.weight * self.mask, self.bias)


class WritesItsWeights(MaskedConv2d):
    """The forward pass writes the mask into the weights themselves."""

    def forward(self, x):
        self.weight.data *= self.mask
        return self._conv_forward(x, self.weight, self.bias)


class MaskedOnce(MaskedConv2d):
    """The mask is multiplied in when the layer is made, and what is zero is hoped to stay so."""

    def __init__(self, kind, inputs, outputs, size):
        super().__init__(kind, inputs, outputs, size)
        self.weight.data *= self.mask

    def forward(self, x):
        return self._conv_forward(x, self.weight, self.bias)


class FrozenMask(nn.Conv2d):
    """The mask is a Parameter without a gradient."""

    def __init__(self, kind, inputs, outputs, size):
        super().__init__(inputs, outputs, size, padding=size // 2)
        self.mask = nn.Parameter(raster_mask(kind, size), requires_grad=False)

    def forward(self, x):
        return nn.functional.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)


class Cropped(nn.Module):
    """No mask at all: a kernel that has only the taps which are seen, and zeros in front."""

    def __init__(self, kind, inputs, outputs, size):
        super().__init__()
        half = size // 2
        self.pads, self.own = (half, half, half, 0), (half, 0, 0, 0)
        self.above = nn.Conv2d(inputs, outputs, (half, size))
        self.beside = nn.Conv2d(inputs, outputs, (1, half + (kind == "B")))

    def forward(self, x):
        _, _, H, W = x.shape
        above, beside = self.above(nn.functional.pad(x, self.pads)), self.beside(nn.functional.pad(x, self.own))
        return above[:, :, :H] + beside[..., :W]


def pixelcnn(conv=MaskedConv2d, first="A", later="B", between=nn.ReLU, Q=4, last=None):
    """The usual five layers; `between` makes what stands behind the first one, `last` touches the last one."""
    net = nn.Sequential(conv(first, 1, 8, 5), between(), conv(later, 8, 8, 3), nn.ReLU(), nn.Conv2d(8, Q, 1))
    if last is not None:
        with torch.no_grad():
            last(net[-1].weight)
    return net


class Residual(nn.Module):
    """Residual blocks of 1 x 1, masked 3 x 3, 1 x 1; `alpha` in front of each branch where one is given (ReZero)."""

    def __init__(self, later="B", alpha=None, image_too=False):
        super().__init__()
        self.stem = MaskedConv2d("A", 1, 8, 5)
        self.branches = nn.ModuleList(
            nn.Sequential(nn.ReLU(), nn.Conv2d(8, 4, 1), nn.ReLU(), MaskedConv2d(later, 4, 4, 3), nn.Conv2d(4, 8, 1))
            for _ in range(2)
        )
        self.alphas = None if alpha is None else nn.Parameter(torch.full((2,), float(alpha)))
        self.out, self.image_too = nn.Conv2d(8, 4, 1), image_too

    def forward(self, x):
        h = self.stem(x)
        for i, branch in enumerate(self.branches):
            h = h + branch(h) * (1 if self.alphas is None else self.alphas[i])
        return self.out(nn.functional.elu(h + x if self.image_too else h))


class LayerNormOverChannels(nn.Module):
    """Each pixel is normalised by itself."""

    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(8)

    def forward(self, x):
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class SqueezeAndExcite(nn.Module):
    """Channels are weighed by their mean over the image."""

    def __init__(self):
        super().__init__()
        self.weigh = nn.Linear(8, 8)

    def forward(self, x):
        return x * torch.sigmoid(self.weigh(x.mean((2, 3))))[:, :, None, None]


class PooledBlocks(nn.Module):
    """Down to half the size and up again, with nothing shifted: a pixel sees the block of 2 x 2 that it lies in."""

    def forward(self, x):
        return x + nn.functional.interpolate(nn.functional.avg_pool2d(x, 2, ceil_mode=True), x.shape[2:])


class GatedLayer(nn.Module):
    """A vertical stack sees its own row and those above; the horizontal one must not see what that knows of its row."""

    def __init__(self, inputs, outputs, first, shifted, open_below):
        super().__init__()
        self.first, self.shifted, self.open_below = first, shifted, open_below
        self.vertical = nn.Conv2d(inputs, 2 * outputs, (3 if open_below else 2, 3))
        self.horizontal = nn.Conv2d(inputs, 2 * outputs, (1, 2))
        self.across = nn.Conv2d(2 * outputs, 2 * outputs, 1)

    def forward(self, v, h):
        W = v.shape[3]
        v = self.vertical(nn.functional.pad(v, (1, 1, 1, 1 if self.open_below else 0)))
        above = nn.functional.pad(v, (0, 0, 1, -1)) if self.shifted else v
        h = self.horizontal(nn.functional.pad(h, (2 if self.first else 1, 0)))[..., :W]
        return self.gate(v), self.gate(h + self.across(above))

    @staticmethod
    def gate(both):
        values, gates = both.chunk(2, dim=1)
        return torch.tanh(values) * torch.sigmoid(gates)


class GatedPixelCNN(nn.Module):
    def __init__(self, shifted=True, open_below=False):
        super().__init__()
        self.layers = nn.ModuleList(
            GatedLayer(1 if i == 0 else 6, 6, i == 0, shifted, open_below and i > 0) for i in range(3)
        )
        self.out = nn.Conv2d(6, 4, 1)

    def forward(self, x):
        v = h = x
        for layer in self.layers:
            v, h = layer(v, h)
        return self.out(h)
