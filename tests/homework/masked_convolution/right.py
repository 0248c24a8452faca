"""Homework: a masked convolution, and a PixelCNN of black and white images that is made of it.

It belongs to lesson 02 (masks A and B) and lesson 03 (PixelCNN in 60 lines). Fill in each function that raises
NotImplementedError, about 25 lines in all. Keep all names, arguments and shapes, since the tests call them.

Feature maps are arrays (H, W, N, K), as in lesson 03: H rows, W columns, N images, K features per pixel. A pixel is 0
or 1. Use NumPy, and from minipixel only the tape: arithmetic on mp.Tensor, mp.ops.conv2d, relu, exp, log, sigmoid and
total. Do not use the masked layers of mp.nn, since such a layer is what you are to write.
"""

import numpy as np

import minipixel as mp


def make_mask(kind, size):
    """The open taps of a kernel, 1 for open and 0 for shut: -> (size, size, 1, 1); `size` is odd.

    Mask "A" opens the taps before the centre in raster order. Mask "B" opens the centre as well.
    """
    place = np.arange(size * size).reshape(size, size)
    centre = size * size // 2
    opened = place < centre if kind == "A" else place <= centre
    return opened[:, :, None, None].astype(float)


class MaskedConv2d(mp.nn.Module):
    """A convolution under a mask: (H, W, N, K_in) -> (H, W, N, K_out)."""

    def __init__(self, kind, K_in, K_out, size, rng):
        self.kind = kind
        self.size = size
        self.weight = mp.nn.Parameter(rng.normal(size=(size, size, K_in, K_out)) / size)
        self.bias = mp.nn.Parameter(np.zeros(K_out))

    def __call__(self, x):
        """Convolve by the kernel times its mask, and add the bias. The weights themselves stay as they are."""
        mask = make_mask(self.kind, self.size)
        return mp.ops.conv2d(x, self.weight * mask, self.bias)


class PixelCNN(mp.nn.Module):
    """The logits of p(pixel = 1 | all pixels before it)."""

    def __init__(self, K, rng):
        """Put four masked convolutions into the list `self.layers`.

        They have 5 x 5, 3 x 3, 3 x 3 and 1 x 1 taps. The first reads the image, whose pixels have one channel. The
        last computes one number per pixel. In between there are K features. Which layer gets which mask?
        """
        self.layers = [
            MaskedConv2d("A", 1, K, 5, rng),
            MaskedConv2d("B", K, K, 3, rng),
            MaskedConv2d("B", K, K, 3, rng),
            MaskedConv2d("B", K, 1, 1, rng),
        ]

    def __call__(self, images):
        """The logits, with a relu between each layer and the next: (H, W, N, 1) -> Tensor (H, W, N, 1)."""
        features = self.layers[0](images)
        for layer in self.layers[1:]:
            features = layer(mp.ops.relu(features))
        return features

    def log_prob(self, images):
        """The log-probability of each image, in nats: (H, W, N, 1) of 0 and 1 -> Tensor (N,).

        The probability of a pixel that is 1 is the sigmoid of its logit.
        """
        signs = 2 * images - 1
        log_probabilities = mp.ops.log(mp.ops.sigmoid(self(images) * signs))
        return mp.ops.total(log_probabilities, axes=(0, 1, 3))

    def train_step(self, images, rate):
        """One step of gradient descent: change all weights, and return the loss before the step, a float.

        The loss is the mean of -log p over the images. `self.parameters()` lists all weights, and `.grad` of each is
        its gradient after `loss.backward()`, as in lesson 03.
        """
        N = images.shape[2]
        loss = mp.ops.total(self.log_prob(images)) * (-1 / N)
        loss.backward()
        for parameter in self.parameters():
            parameter.data = parameter.data - rate * parameter.grad
        return float(loss.data)
