"""Row and Diagonal LSTMs, LSTMs over the raster, and convolutions over the sequence, in PyTorch."""

import torch
from torch import nn


class RowLstm(nn.Module):
    """Images (N, C, H, W) -> (N, out, H, W): a state runs down the rows; with `up` another one runs up, the mistake."""

    def __init__(self, channels=1, width=6, out=5, up=False):
        super().__init__()
        self.width, self.up = width, up
        self.left = nn.Conv2d(channels, 4 * width, (1, 3))
        self.above = nn.Conv1d(width, 4 * width, 3, padding=1)
        self.head = nn.Conv2d(width * (1 + up), out, 1)

    def run(self, gates, rows):
        h = cell = gates.new_zeros(len(gates), self.width, gates.shape[3])
        states = {}
        for r in rows:
            i, f, o, g = (gates[:, :, r] + self.above(h)).chunk(4, dim=1)
            cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
            h = states[r] = o.sigmoid() * cell.tanh()
        return torch.stack([states[r] for r in sorted(states)], dim=2)

    def forward(self, x):
        gates = self.left(nn.functional.pad(x, (3, 0, 0, 0)))[..., : x.shape[3]]
        rows = range(x.shape[2])
        states = [self.run(gates, rows)] + ([self.run(gates, reversed(rows))] if self.up else [])
        return self.head(torch.cat(states, dim=1))


def skew(x):
    """(N, C, H, W) -> (N, C, H, W + H - 1): each row one place further to the right than the one above."""
    N, C, H, W = x.shape
    wide = nn.functional.pad(x, (0, H)).reshape(N, C, -1)[..., : H * (W + H - 1)]
    return wide.view(N, C, H, W + H - 1)


def unskew(x, W, late=0):
    """Back again; `late` reads each row so many places further to the right, the mistake."""
    return torch.stack([x[:, :, r, r + late : r + late + W] for r in range(x.shape[2])], dim=2)


class Diagonal(nn.Module):
    """One direction of a Diagonal BiLSTM: features (N, C, H, W) -> states (N, width, H, W), a diagonal at a time."""

    def __init__(self, channels, width, late=0):
        super().__init__()
        self.inside, self.before = nn.Conv2d(channels, 4 * width, 1), nn.Conv1d(width, 4 * width, 2)
        self.width, self.late = width, late

    def forward(self, x):
        H, W = x.shape[2:]
        gates = nn.functional.pad(skew(self.inside(x)), (0, self.late))
        h = cell = x.new_zeros(len(x), self.width, H)
        states = []
        for d in range(gates.shape[3]):
            i, f, o, g = (gates[..., d] + self.before(nn.functional.pad(h, (1, 0)))).chunk(4, dim=1)
            cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
            h = o.sigmoid() * cell.tanh()
            states.append(h)
        return unskew(torch.stack(states, dim=3), W, self.late)


class DiagonalLstm(nn.Module):
    """Images (N, C, H, W) -> (N, out, H, W): one direction, or both, the second shifted `down` a row."""

    def __init__(self, channels=1, width=6, out=5, both=True, down=True, late=0):
        super().__init__()
        self.both, self.down = both, down
        self.inside = nn.Conv2d(channels, width, 2)
        self.to_right = Diagonal(width, width, late)
        self.to_left = Diagonal(width, width) if both else None
        self.head = nn.Conv2d(width, out, 1)

    def forward(self, x):
        pad = nn.functional.pad
        features = self.inside(pad(x, (2, 0, 1, 0)))[..., : x.shape[3]]  # the pixel to the left, and those above it
        states = self.to_right(features)
        if self.both:
            back = self.to_left(features.flip(3)).flip(3)
            states = states + (pad(back, (0, 0, 1, 0))[:, :, :-1] if self.down else back)
        return self.head(states)


class RasterLstm(nn.Module):
    """Numbers (N, S), or images (N, 1, H, W) -> (N, S, Q): an LSTM over the sequence, shifted by one or not."""

    def __init__(self, Q=4, width=8, shift=True, both=False):
        super().__init__()
        self.lstm = nn.LSTM(1, width, batch_first=True, bidirectional=both)
        self.head, self.shift = nn.Linear(width * (1 + both), Q), shift

    def forward(self, x):
        x = x.flatten(1)[..., None]
        if self.shift:
            x = torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], dim=1)
        return self.head(self.lstm(x)[0])


class FixedBatch(RasterLstm):
    """An LSTM whose first state has one size of batch, as in code for training alone."""

    def __init__(self, N, width=8, **options):
        super().__init__(width=width, **options)
        self.first = nn.Parameter(torch.zeros(1, N, width))

    def forward(self, x):
        x = nn.functional.pad(x, (1, -1))[..., None]
        return self.head(self.lstm(x, (self.first, self.first))[0])


class RasterConvolution(nn.Module):
    """Numbers (N, S) -> (N, Q, S): convolutions along it, padded in front (right) or on both sides (wrong)."""

    def __init__(self, Q=4, width=8, causal=True):
        super().__init__()
        self.causal = causal
        self.convs = nn.ModuleList(nn.Conv1d(i, width, 3, dilation=d) for i, d in ((1, 1), (width, 2), (width, 4)))
        self.head = nn.Conv1d(width, Q, 1)

    def forward(self, x):
        x = nn.functional.pad(x, (1, -1))[:, None] if self.causal else x[:, None]
        for conv in self.convs:
            reach = 2 * conv.dilation[0]
            ends = (reach, 0) if self.causal else (reach // 2, reach // 2)
            x = nn.functional.elu(conv(nn.functional.pad(x, ends)))
        return self.head(x)


class ToImage(nn.Module):
    """A net with outputs (N, S, Q), handed on as images (N, Q, H, W): turned before it is cut, or (the mistake) not."""

    def __init__(self, net, H, W, turned=True):
        super().__init__()
        self.net, self.size, self.turned = net, (H, W), turned

    def forward(self, x):
        out = self.net(x)
        return (out.transpose(1, 2) if self.turned else out).reshape(len(x), -1, *self.size)


class FromBelow(nn.Module):
    """A net for images that is fed the rows from below, and gives them so: it draws the lowest row first."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x.flip(2)).flip(2)


class Labelled(nn.Module):
    """A net for images with a label added to it: -> (logits, labels), a tuple."""

    def __init__(self, net, labels=10, out=5):
        super().__init__()
        self.net, self.labels = net, nn.Embedding(labels, out)

    def forward(self, x, labels):
        return self.net(x) + self.labels(labels)[:, :, None, None], labels
