"""Homework: masks that keep the order of the colours, red, then green, then blue, and a PixelCNN in colour.

It belongs to lesson 12 (colour); the softmax is in lesson 03. Fill in each function that raises NotImplementedError,
about 30 lines in all. Keep all names, arguments and shapes, since the tests call them.

Feature maps are arrays (H, W, N, K), as in lesson 03: H rows, W columns, N images, K channels. An image has C = 3
channels, and each sub-pixel is one of Q levels, 0 to Q - 1. Groups say which colour a channel belongs to: 0 red,
1 green, 2 blue. Use NumPy, and from minipixel only the tape: arithmetic on mp.Tensor, mp.ops.conv2d, mp.ops.gate. Do
not use the masks and the masked layers of mp.nn, since these are what you are to write.
"""

import numpy as np

import minipixel as mp


def colour_groups(K, C):
    """The groups of K feature channels, dealt out to C colours like cards: integers (K,), 0 1 2 0 1 2 ... for C = 3."""
    raise NotImplementedError


def gate_groups(groups):
    """The groups of the 2K channels before a gate whose output has these groups: (K,) -> (2K,).

    The gate multiplies channel k of the first half with channel k of the second half: see mp.ops.gate.
    """
    raise NotImplementedError


def logit_groups(C, Q):
    """The groups of the last layer's channels: first all Q logits of red, then those of green, of blue: -> (C * Q,)."""
    raise NotImplementedError


def colour_mask(kind, size, groups_in, groups_out):
    """The open weights of a kernel, 1 or 0: (K_in,), (K_out,) -> (size, size, K_in, K_out); `size` is odd.

    Taps before the centre in raster order are open for all groups. Taps after it are shut. At the centre a channel
    reads the groups before its own under mask "A", and the groups up to its own under mask "B".
    """
    raise NotImplementedError


class ColourConv2d(mp.nn.Module):
    """A convolution under such a mask: (H, W, N, K_in) -> (H, W, N, K_out)."""

    def __init__(self, kind, size, groups_in, groups_out, rng):
        self.mask = colour_mask(kind, size, groups_in, groups_out)
        self.weight = mp.nn.Parameter(rng.normal(size=self.mask.shape) / size)
        self.bias = mp.nn.Parameter(np.zeros(len(groups_out)))

    def __call__(self, x):
        """Convolve by the kernel times its mask, and add the bias."""
        return mp.ops.conv2d(x, self.weight * self.mask, self.bias)


class ColourPixelCNN(mp.nn.Module):
    """The logits of p(sub-pixel | all sub-pixels before it)."""

    def __init__(self, K, Q, rng):
        """Put three masked convolutions into the list `self.layers`: of 3 x 3, 3 x 3 and 1 x 1 taps.

        The first reads the image and computes K features. The second computes 2K channels from these, for a gate whose
        output has K. The last one computes 3Q logits. Which mask does each layer need, and which groups?
        """
        raise NotImplementedError

    def __call__(self, images):
        """The logits, with a gate after the second layer: (H, W, N, 3) -> Tensor (H, W, N, 3 * Q)."""
        raise NotImplementedError


def log_prob(logits, images):
    """The log-probability of each image in nats, a softmax for each sub-pixel: (H, W, N, 3 * Q), (H, W, N, 3) -> (N,).

    Both are NumPy arrays. Logits may be as large as 1000, and no exponential may overflow.
    """
    raise NotImplementedError
