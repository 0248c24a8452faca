"""Nets for three colours in PyTorch: outputs in every layout, colour masks, and colours that a head joins."""

import torch
from causality.zoo.torch_grey import MaskedConv2d, raster_mask
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

GREEN_SEES_RED = ((0, 0, 0), (1, 0, 0), (1, 1, 0))
"""Row: the colour that is described; column: the colour of the same pixel that it sees."""
RED_SEES_BLUE = ((0, 0, 1), (1, 0, 0), (1, 1, 0))


class Colours(nn.Module):
    """What came before, and what a colour sees of its own pixel: (N, C, Q, H, W), as `laid_out` lays it out."""

    def __init__(self, laid_out, sees=GREEN_SEES_RED, Q=4):
        super().__init__()
        self.laid_out, self.Q = laid_out, Q
        self.before, self.here = MaskedConv2d("A", 3, 3 * Q, 3), nn.Conv2d(3, 3 * Q, 1)
        self.register_buffer("mask", torch.tensor(sees, dtype=torch.float32).repeat_interleave(Q, 0)[:, :, None, None])

    def forward(self, x):
        y = self.before(x) + nn.functional.conv2d(x, self.here.weight * self.mask)
        return self.laid_out(y.unflatten(1, (3, self.Q)))


class ColourMaskedConv2d(nn.Conv2d):
    """Channels belong to colours, in `blocks` or by turns: at the centre a channel sees those of earlier colours."""

    def __init__(self, kind, inputs, outputs, size, blocks_in=True, blocks_out=True):
        super().__init__(inputs, outputs, size, padding=size // 2)
        mask = raster_mask("A", size).repeat(outputs, inputs, 1, 1)
        of_input, of_output = (self._colours(n, b) for n, b in ((inputs, blocks_in), (outputs, blocks_out)))
        seen = of_output[:, None] > of_input if kind == "A" else of_output[:, None] >= of_input
        mask[:, :, size // 2, size // 2] = seen.float()
        self.register_buffer("mask", mask)

    @staticmethod
    def _colours(n, blocks):
        return torch.arange(n) * 3 // n if blocks else torch.arange(n) % 3

    def forward(self, x):
        return nn.functional.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)


def colour_pixelcnn(blocks=True, later="B", last_blocks=None):
    """Three layers, groups of channels in blocks or by turns -> (N, 12, H, W); the last may read them the other way."""
    read = blocks if last_blocks is None else last_blocks
    return nn.Sequential(
        ColourMaskedConv2d("A", 3, 9, 3, blocks_out=blocks),
        nn.ReLU(),
        ColourMaskedConv2d(later, 9, 9, 3, blocks, blocks),
        nn.ReLU(),
        ColourMaskedConv2d("B", 9, 12, 1, read, blocks),
    )


class DepthIsColour(nn.Module):
    """Colours are the depth of a convolution in three dimensions: (N, C, H, W) -> (N, Q, C, H, W)."""

    def __init__(self, first="A"):
        super().__init__()
        self.first, self.second = nn.Conv3d(1, 6, 3, padding=1), nn.Conv3d(6, 4, 1)
        # A tap at another pixel is earlier or later whatever its colour is; one at the pixel itself, by its colour.
        mask = raster_mask("A").repeat(3, 1, 1)
        mask[:, 1, 1] = torch.tensor([1.0, first == "B", 0.0])
        self.register_buffer("mask", mask)

    def forward(self, x):
        h = nn.functional.conv3d(x[:, None], self.first.weight * self.mask, self.first.bias, padding=1)
        return self.second(torch.relu(h))


class Down(nn.Module):
    """A convolution, weight-normalised, that sees its own row and that above: the kernel's last row is the own one."""

    def __init__(self, inputs, outputs, size, stride=1, shift=None):
        super().__init__()
        rows, columns = size
        right = (columns - 1) // 2 if columns % 2 else 0
        self.pads = (columns - 1 - right, right, rows - 1, 0)
        self.conv, self.shift = weight_norm(nn.Conv2d(inputs, outputs, size, stride)), shift

    def forward(self, x):
        y = self.conv(nn.functional.pad(x, self.pads))
        return y if self.shift is None else nn.functional.pad(y, self.shift)


DOWN_ONE, RIGHT_ONE = (0, 0, 1, -1), (1, -1, 0, 0)


class Mix(nn.Module):
    """A residual block that is gated, and takes in another stream."""

    def __init__(self, size, other):
        super().__init__()
        self.first, self.second = Down(12, 6, size), Down(12, 12, size)
        self.other = weight_norm(nn.Conv2d(12, 6, 1)) if other else None

    def forward(self, x, other=None):
        h = self.first(self._both(x))
        if self.other is not None:
            h = h + self.other(self._both(other))
        values, gates = self.second(self._both(h)).chunk(2, dim=1)
        return x + values * torch.sigmoid(gates)

    @staticmethod
    def _both(x):
        return nn.functional.elu(torch.cat([x, -x], dim=1))


class ShiftedStreams(nn.Module):
    """Two streams of shifted convolutions, down to half the size and up again -> (N, M * 10, H, W), colours joined."""

    def __init__(self, M=2, u_shift=DOWN_ONE, own_red=False, zeros=False):
        super().__init__()
        self.u = Down(4, 6, (2, 3), shift=u_shift)
        self.ul_above, self.ul_left = Down(4, 6, (1, 3), shift=DOWN_ONE), Down(4, 6, (2, 1), shift=RIGHT_ONE)
        self.u_mix, self.ul_mix = Mix((2, 3), False), Mix((2, 2), True)
        self.u_down, self.ul_down = Down(6, 6, (2, 3), 2), Down(6, 6, (2, 2), 2)
        self.u_low, self.ul_low = Mix((2, 3), False), Mix((2, 2), True)
        self.ul_up = nn.ConvTranspose2d(6, 6, 2, stride=2)
        self.out, self.red = nn.Conv2d(6, M * 10, 1), nn.Conv2d(1, M * 10, 1) if own_red else None
        if zeros:
            nn.init.zeros_(self.out.weight)

    def forward(self, x):
        with_ones = torch.cat([x, torch.ones_like(x[:, :1])], dim=1)
        u, ul = self.u(with_ones), self.ul_above(with_ones) + self.ul_left(with_ones)
        u = self.u_mix(u)
        ul = self.ul_mix(ul, u)
        low = self.u_low(self.u_down(u))
        ul = ul + self.ul_up(self.ul_low(self.ul_down(ul), low))
        y = self.out(nn.functional.elu(ul))
        return y if self.red is None else y + self.red(x[:, :1])


class Planes(nn.Module):
    """All of red is drawn first, then all of green: a plane sees its own past, and the planes before it as a whole."""

    def __init__(self, green_sees=(0,)):
        super().__init__()
        self.seen = [list(green_sees), [0, 1]]
        self.own = nn.ModuleList(MaskedConv2d("A", 1, 4, 3) for _ in range(3))
        self.others = nn.ModuleList(nn.Conv2d(len(planes), 4, 3, padding=1) for planes in self.seen)

    def forward(self, x):
        red, green, blue = (own(x[:, k : k + 1]) for k, own in enumerate(self.own))
        green = green + self.others[0](x[:, self.seen[0]])
        blue = blue + self.others[1](x[:, self.seen[1]])
        return torch.stack([red, green, blue], dim=1)
