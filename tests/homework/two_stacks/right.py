"""Homework: two stacks of gated convolutions, which together see the whole past of a pixel.

It belongs to lesson 09 (the blind spot, and two stacks). Fill in each function that raises NotImplementedError, about
25 lines in all. Keep all names, arguments and shapes, since the tests call them.

Feature maps are arrays (H, W, N, K), as in lesson 03: H rows, W columns, N images, K features per pixel. A pixel is 0
or 1. Use NumPy, and from minipixel only the tape: arithmetic on mp.Tensor, mp.ops.conv2d, linear and gate. Do not use
the masked layers of mp.nn, since such layers are what you are to write.
"""

import numpy as np

import minipixel as mp


def vertical_mask(kind, size):
    """The open taps of the vertical stack, 1 or 0: -> (size, size, 1, 1); `size` is odd.

    This mask opens or shuts whole rows. Mask "A", for the layer that reads the image, opens the rows above the centre.
    Mask "B", for all later layers, opens the row of the centre as well.
    """
    mask = np.zeros((size, size, 1, 1))
    mask[: size // 2] = 1
    if kind == "B":
        mask[size // 2] = 1
    return mask


def horizontal_mask(kind, size):
    """The open taps of the horizontal stack, 1 or 0: -> (1, size, 1, 1).

    Mask "A" opens the taps to the left of the centre. Mask "B" opens the centre as well.
    """
    mask = np.zeros((1, size, 1, 1))
    mask[0, : size // 2] = 1
    if kind == "B":
        mask[0, size // 2] = 1
    return mask


class GatedLayer(mp.nn.Module):
    """One layer of both stacks: two maps (H, W, N, K_in) -> two maps (H, W, N, K)."""

    def __init__(self, kind, K_in, K, size, rng):
        self.kind = kind
        self.size = size
        self.vertical = mp.nn.Parameter(rng.normal(size=(size, size, K_in, 2 * K)) / size)
        self.horizontal = mp.nn.Parameter(rng.normal(size=(1, size, K_in, 2 * K)) / size)
        self.link = mp.nn.Parameter(rng.normal(size=(2 * K, 2 * K)) / K)
        self.out = mp.nn.Parameter(rng.normal(size=(K, K)) / K)

    def __call__(self, v, h):
        """The features of the vertical and of the horizontal stack -> those of the next layer, in this order.

        The vertical stack: v is convolved under its mask, which gives 2K channels; call them `above`. The gate turns
        these into the K channels of the next v. The horizontal stack: h is convolved under its mask, and the link is
        added, which is `above` times the matrix `link`. Then follow the gate and the matrix `out`. A layer with mask
        "B" adds h to the result; the first layer, with mask "A", does not. There are no biases.
        """
        above = mp.ops.conv2d(v, self.vertical * vertical_mask(self.kind, self.size), None)
        row = mp.ops.conv2d(h, self.horizontal * horizontal_mask(self.kind, self.size), None)
        row = row + mp.ops.linear(above, self.link, None)
        next_v = mp.ops.gate(above)
        next_h = mp.ops.linear(mp.ops.gate(row), self.out, None)
        if self.kind == "B":
            next_h = next_h + h
        return next_v, next_h


class TwoStacks(mp.nn.Module):
    """The logits of p(pixel = 1 | all pixels before it)."""

    def __init__(self, K, depth, rng):
        """Put `depth` layers of 3 x 3 taps and K features into the list `self.layers`. Which has which mask?

        Put a weight (K, 1) into `self.top`, an mp.nn.Parameter. It turns the features of a pixel into its logit.
        """
        self.layers = [GatedLayer("A", 1, K, 3, rng)]
        for _ in range(depth - 1):
            self.layers.append(GatedLayer("B", K, K, 3, rng))
        self.top = mp.nn.Parameter(rng.normal(size=(K, 1)))

    def __call__(self, images):
        """The logits, from the horizontal stack of the last layer: (H, W, N, 1) -> Tensor (H, W, N, 1).

        Both stacks begin with the image.
        """
        v = images
        h = images
        for layer in self.layers:
            v, h = layer(v, h)
        return mp.ops.linear(h, self.top, None)
