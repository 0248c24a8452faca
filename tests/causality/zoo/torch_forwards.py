"""Nets in PyTorch whose forward pass does something of its own: shifts, sums, codes, labels, rounding."""

import random

import numpy as np
import torch
from causality.zoo.torch_grey import Cropped, MaskedConv2d, pixelcnn
from torch import nn


class Around(nn.Module):
    """A net, and what is done before it and behind it."""

    def __init__(self, net, before=lambda x: x, behind=lambda y: y):
        super().__init__()
        self.net, self.before, self.behind = net, before, behind

    def forward(self, x):
        return self.behind(self.net(self.before(x)))

    def logits(self, x):
        return self.net(x)


class Shifted(nn.Module):
    """A convolution that sees itself and what is above and left, made causal by a shift of its input by one pixel."""

    def __init__(self, shift):
        super().__init__()
        self.shift = shift
        self.net = nn.Sequential(Cropped("B", 8, 8, 3), nn.ELU(), nn.Conv2d(8, 4, 1))
        self.beside, self.above = nn.Conv2d(1, 8, 1), Cropped("A", 1, 8, 3)

    def forward(self, x):
        return self.net(self.beside(self.shift(x)) + self.above(x))


class Fourier(nn.Module):
    """A strictly causal convolution over the pixels in raster order, by FFT: causal but for rounding."""

    def __init__(self, leaks=False):
        super().__init__()
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
        self.weigh = nn.Conv2d(1, 3, 1)

    def forward(self, x):
        flat = x.flatten(1)
        return self.weigh((flat.cumsum(1) - flat).reshape(x.shape))


class OneDimensional(nn.Module):
    """A causal convolution over sequences (N, S) -> (N, S, Q), or (N, Q, S)."""

    def __init__(self, left=3, right=-1, channels_last=True):
        super().__init__()
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


class GatedByABuffer(nn.Module):
    """All goes through a buffer of zeros, which no training moves: nobody can tell what the weights would do."""

    def __init__(self):
        super().__init__()
        self.net = pixelcnn(first="none")
        self.register_buffer("gate", torch.zeros(()))

    def forward(self, x):
        return self.net(x) * self.gate


class NoiseInTraining(nn.Module):
    """Training adds noise that no seed of PyTorch's governs; evaluation adds none."""

    def __init__(self, noise, first="A"):
        super().__init__()
        self.net, self.noise = pixelcnn(first=first), noise

    def forward(self, x):
        return self.net(x + self.noise(x) if self.training else x)


def noise_by_numpy(x):
    return torch.as_tensor(np.random.standard_normal(tuple(x.shape)), dtype=x.dtype)  # noqa: NPY002 - as people do


def noise_by_random(x):
    return random.random()


GENERATOR = torch.Generator().manual_seed(0)


def noise_of_its_own(x):
    return torch.rand(x.shape, generator=GENERATOR, dtype=x.dtype)


class Untied(nn.Module):
    """A bias for each place of the image, and coordinates as channels: it has one fixed size."""

    def __init__(self, first="A"):
        super().__init__()
        self.bias, rows = nn.Parameter(torch.randn(1, 8, 5, 6)), torch.linspace(-1, 1, 5)
        self.register_buffer("rows", rows[:, None].expand(5, 6).clone())
        self.stem, self.out = MaskedConv2d(first, 1, 8, 3), nn.Conv2d(9, 4, 1)

    def forward(self, x):
        h = torch.relu(self.stem(x) + self.bias)
        return self.out(torch.cat([h, self.rows.expand(len(x), 1, 5, 6)], dim=1))


def impossible_level(y):
    """Log-probabilities: the last level has -inf."""
    return torch.cat([y[:, :-1].log_softmax(1), torch.full_like(y[:, -1:], -torch.inf)], dim=1)


class Trainer:
    """No module, but an object that has one."""

    def __init__(self, net):
        self.net = net

    def __call__(self, x):
        return self.net(x)

    def logits(self, x):
        return self.net(x)


class KeepsItsFeatures(nn.Module):
    """What the last forward pass has seen stays, with its tape."""

    def __init__(self, first="A"):
        super().__init__()
        self.net = pixelcnn(first=first, last=nn.init.zeros_)
        self(torch.zeros(2, 1, 5, 6))

    def forward(self, x):
        self.features = self.net[:4](x)
        self.history = [self.features]
        return self.net[4](self.features)
