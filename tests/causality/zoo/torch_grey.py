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
        return (
            self.above(nn.functional.pad(x, self.pads))[:, :, :H] + self.beside(nn.functional.pad(x, self.own))[..., :W]
        )


def pixelcnn(conv=MaskedConv2d, first="A", later="B", between=nn.ReLU, Q=4, last=None):
    """The usual five layers; `between` makes what stands behind the first one, `last` touches the last one."""
    torch.manual_seed(0)
    net = nn.Sequential(conv(first, 1, 8, 5), between(), conv(later, 8, 8, 3), nn.ReLU(), nn.Conv2d(8, Q, 1))
    if last is not None:
        with torch.no_grad():
            last(net[-1].weight)
    return net


class Residual(nn.Module):
    """Residual blocks of 1 x 1, masked 3 x 3, 1 x 1; `alpha` in front of each branch where one is given (ReZero)."""

    def __init__(self, later="B", alpha=None, image_too=False):
        super().__init__()
        torch.manual_seed(0)
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
        torch.manual_seed(0)
        self.layers = nn.ModuleList(
            GatedLayer(1 if i == 0 else 6, 6, i == 0, shifted, open_below and i > 0) for i in range(3)
        )
        self.out = nn.Conv2d(6, 4, 1)

    def forward(self, x):
        v = h = x
        for layer in self.layers:
            v, h = layer(v, h)
        return self.out(h)


class Shifted(nn.Module):
    """A convolution that sees itself and what is above and left, made causal by a shift of its input by one pixel."""

    def __init__(self, shift):
        super().__init__()
        torch.manual_seed(0)
        self.shift = shift
        self.net = nn.Sequential(Cropped("B", 8, 8, 3), nn.ELU(), nn.Conv2d(8, 4, 1))
        self.beside, self.above = nn.Conv2d(1, 8, 1), Cropped("A", 1, 8, 3)

    def forward(self, x):
        return self.net(self.beside(self.shift(x)) + self.above(x))


class Fourier(nn.Module):
    """A strictly causal convolution over the pixels in raster order, by FFT: causal but for rounding."""

    def __init__(self, leaks=False):
        super().__init__()
        torch.manual_seed(0)
        self.kernel, self.leaks = nn.Parameter(torch.rand(4, 8) + 0.5), leaks

    def forward(self, x):
        flat = x.flatten(1)
        S = flat.shape[1]
        shifted = flat if self.leaks else nn.functional.pad(flat, (1, -1))
        spectrum = torch.fft.rfft(shifted, 2 * S)[:, None] * torch.fft.rfft(self.kernel, 2 * S)
        return torch.fft.irfft(spectrum, 2 * S)[..., :S].unflatten(2, x.shape[2:])


class SumsMinusItself(nn.Module):
    """The sum of all pixels so far, less the pixel itself, which goes but for rounding."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.weigh = nn.Conv2d(1, 3, 1)

    def forward(self, x):
        flat = x.flatten(1)
        return self.weigh((flat.cumsum(1) - flat).reshape(x.shape))


class OneDimensional(nn.Module):
    """A causal convolution over sequences (N, S) -> (N, S, Q), or (N, Q, S)."""

    def __init__(self, left=3, right=-1, channels_last=True):
        super().__init__()
        torch.manual_seed(0)
        self.pads, self.channels_last = (left, right), channels_last
        self.first, self.second = nn.Conv1d(1, 6, 3), nn.Conv1d(6, 4, 2)

    def forward(self, x):
        h = torch.relu(self.first(nn.functional.pad(x[:, None], self.pads)))
        y = self.second(nn.functional.pad(h, (1, 0)))
        return y.transpose(1, 2) if self.channels_last else y


class Codes(nn.Module):
    """Integers (N, H, W), embedded, -> (N, Q, H, W)."""

    def __init__(self, first="A", Q=7):
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(Q, 5)
        self.net = nn.Sequential(MaskedConv2d(first, 5, 8, 3), nn.ReLU(), nn.Conv2d(8, Q, 1))

    def forward(self, codes):
        return self.net(self.table(codes).permute(0, 3, 1, 2))


class WithLabel(nn.Module):
    """Labels, one for each image, are added behind the first layer."""

    def __init__(self, first="A", between=nn.ReLU):
        super().__init__()
        net = pixelcnn(first=first, between=between)
        self.first, self.rest, self.table = net[0], net[1:], nn.Embedding(3, 8)

    def forward(self, x, labels):
        return self.rest(self.first(x) + self.table(labels)[:, :, None, None])


class TakesAMask(nn.Module):
    """The first kernel's mask is an argument."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.kernel, self.rest = nn.Parameter(torch.randn(8, 1, 3, 3)), nn.Sequential(nn.ReLU(), nn.Conv2d(8, 4, 1))

    def forward(self, x, mask):
        return self.rest(nn.functional.conv2d(x, self.kernel * mask.to(x.dtype), padding=1))


class KeepsTheFirstBatch(nn.Module):
    """The states of all images are kept in a tensor made for the first batch."""

    def __init__(self, first="A"):
        super().__init__()
        self.net, self.state = pixelcnn(first=first), None

    def forward(self, x):
        if self.state is None:
            self.state = torch.full((len(x), 1, 1, 1), 0.5, dtype=x.dtype)
        return self.net(x) * self.state


class WritesItsInput(nn.Module):
    """Images are scaled in place."""

    def __init__(self, first="A"):
        super().__init__()
        self.net = pixelcnn(first=first)

    def forward(self, x):
        x -= 0.5
        return self.net(x.mul_(2))


class Quantises(nn.Module):
    """Images are rounded to 16 levels: no gradient comes through."""

    def __init__(self, first="A"):
        super().__init__()
        self.net = pixelcnn(first=first)

    def forward(self, x):
        return self.net(torch.round((x + 1) * 7.5) / 7.5 - 1)


class WithoutATape(nn.Module):
    def __init__(self, first="A"):
        super().__init__()
        self.net = pixelcnn(first=first)

    @torch.no_grad()
    def forward(self, x):
        return self.net(x)


class Around(nn.Module):
    """A net, and what is done before it and behind it."""

    def __init__(self, net, before=lambda x: x, behind=lambda y: y):
        super().__init__()
        self.net, self.before, self.behind = net, before, behind

    def forward(self, x):
        return self.behind(self.net(self.before(x)))

    def logits(self, x):
        return self.net(x)


class GatedByABuffer(nn.Module):
    """All goes through a buffer of zeros, which no training moves: nobody can tell what the weights would do."""

    def __init__(self):
        super().__init__()
        self.net = pixelcnn(first="none")
        self.register_buffer("gate", torch.zeros(()))

    def forward(self, x):
        return self.net(x) * self.gate
