"""Mistakes that hide from one witness or another: statistics over too much, slopes and reads that are not told.

Functions that break a PixelCNN between its first layer and its blocks; see mutant_catalogue.py.
"""

import numpy as np
from wrong_masks import mask_b
from wrong_models import becomes

from minipixel import models, nn, optim
from minipixel.ops.local import Local, Look, each, moving, pointwise
from minipixel.tensor import op

# --- ops --------------------------------------------------------------------------------------------------------------


def _normalised(x, axes):
    """To mean 0 and variance 1 over some axes, and the way back."""
    scale = 1 / np.sqrt(x.var(axis=axes, keepdims=True) + 1e-5)
    y = (x - x.mean(axis=axes, keepdims=True)) * scale

    def vjp(g):
        return (scale * (g - g.mean(axis=axes, keepdims=True) - y * (g * y).mean(axis=axes, keepdims=True)),)

    return y, vjp


@op
def normalised(x, *, axes):
    return _normalised(x, axes)


@op(local=pointwise(lambda K: [np.ones((K, K), bool)]))
def normalised_over_channels(x):
    return _normalised(x, (-1,))


@op
def running_mean(x):
    """Over all pixels in raster order, its own included."""
    H, W = x.shape[:2]
    counts = np.arange(1, H * W + 1).reshape(-1, 1, 1)

    def vjp(g):
        flat = g.reshape(H * W, *g.shape[2:]) / counts
        return (flat[::-1].cumsum(axis=0)[::-1].reshape(g.shape),)

    return (x.reshape(H * W, *x.shape[2:]).cumsum(axis=0) / counts).reshape(x.shape), vjp


def _next_column(x):
    return np.concatenate([x[:, 1:], np.zeros_like(x[:, :1])], axis=1)


@op(local=moving)
def next_column_detached(x):
    """The pixel to the right, through which no gradient flows."""
    return _next_column(x), lambda g: (np.zeros_like(g),)


@op(local=pointwise(each))
def next_column_untold(x):
    """The pixel to the right, of an op that says it reads its own."""
    return _next_column(x), lambda g: (np.concatenate([np.zeros_like(g[:, :1]), g[:, :-1]], axis=1),)


def _local_alternate(function, x):
    K = x.shape[-1] // 2
    channels = np.zeros((2 * K, K), bool)
    channels[np.arange(2 * K), np.arange(2 * K) // 2] = True
    pixels = np.arange(x.shape[0] * x.shape[1]).reshape(-1, 1)
    return Local(function.__name__, x.shape[:2], (Look(pixels, channels),), lambda x: function(x)[0])


@op(local=_local_alternate)
def gate_of_alternate_channels(x):
    """tanh of the even channels times sigmoid of the odd ones, where ops.gate takes halves."""
    a, b = np.tanh(x[..., ::2]), 1 / (1 + np.exp(-x[..., 1::2]))

    def vjp(g):
        x_g = np.empty_like(x)
        x_g[..., ::2], x_g[..., 1::2] = g * b * (1 - a * a), g * a * b * (1 - b)
        return (x_g,)

    return a * b, vjp


# --- planted in a model -----------------------------------------------------------------------------------------------


def _between(change):
    """PixelCNN.forward with `change(y, rng)` after its first layer."""

    def forward(self, x, condition=None, rng=None):
        y = change(self.stem(x), rng)
        for block in self.blocks:
            y = block(y, condition, rng)
        return self.top(y)

    return becomes(type("PixelCNN", (models.PixelCNN,), {"forward": forward}))


def batch_normalisation(model):
    """Over pixels and images."""
    _between(lambda y, rng: normalised(y, axes=(0, 1, 2)))(model)


def batch_normalisation_in_training(model):
    """Batch statistics in training mode; fixed ones, as running means are, when evaluated."""
    _between(lambda y, rng: y if rng is None else normalised(y, axes=(0, 1, 2)))(model)


def normalised_over_the_batch(model):
    """Each pixel by itself, over images alone."""
    _between(lambda y, rng: normalised(y, axes=(2,)))(model)


def instance_normalisation(model):
    """Over the pixels of each image."""
    _between(lambda y, rng: normalised(y, axes=(0, 1)))(model)


def layer_normalisation_over_colours(model):
    """Over the channels of a pixel, those of all three colours alike."""
    _between(lambda y, rng: normalised_over_channels(y))(model)


def running_mean_of_the_image(model):
    """The mean of the image so far, with the pixel itself."""

    def forward(self, x, condition=None, rng=None):
        y = self.stem(x) + running_mean(x)
        for block in self.blocks:
            y = block(y, condition, rng)
        return self.top(y)

    becomes(type("PixelCNN", (models.PixelCNN,), {"forward": forward}))(model)


def leak_without_a_gradient(model):
    """A value of the future, detached from the graph of gradients."""
    _between(lambda y, rng: y + next_column_detached(y))(model)


def leak_that_an_op_does_not_tell(model):
    """An op that reads the pixel to the right, and says to the clock that it reads its own."""
    _between(lambda y, rng: y + next_column_untold(y))(model)


def leak_in_training_mode(model):
    """A shift that is there when the model is evaluated, and forgotten in training."""
    _between(lambda y, rng: y if rng is None else y + next_column_untold(y))(model)


# --- masks that come and go -------------------------------------------------------------------------------------------


def mask_that_is_never_applied(model):
    """Weights that the mask would shut begin as zeros, and nothing keeps them there: no leak before the first step."""
    model.stem.mask = np.ones_like(model.stem.mask)


def mask_that_is_never_applied_after_a_step(model):
    """The same, one optimiser step later."""
    mask_that_is_never_applied(model)
    images = np.random.default_rng(0).integers(0, model.levels, (8, *model.image_shape))
    model.loss(images).backward()
    optim.SGD(0.1).step(model)


def mask_that_wakes_up_after_a_step(model):
    """Weights are multiplied by the mask in the optimiser's step alone, so those of the first pass are all open."""
    mask_that_is_never_applied(model)
    weight = model.stem.weight
    weight.data = np.random.default_rng(0).normal(0, 0.3, weight.shape).astype(weight.dtype)


def mask_b_behind_a_dead_rectifier(model):
    """All that the first layer sees is lost in rectifiers far below zero, until some step of training wakes them."""
    mask_b(model.stem)
    model.stem.bias.data = np.full_like(model.stem.bias.data, -100)


def gate_of_alternate_channels_in_one_layer(model):
    """Even channels gated by odd ones in a layer whose colours are dealt out for halves."""
    model.layers[1].__class__ = AlternateGates


class AlternateGates(nn.GatedLayer):
    def __call__(self, v, h, condition):
        above = self.told_vertical(self.vertical(v), condition)
        row = self.told_horizontal(self.horizontal(h) + self.link(above), condition)
        return above, h + self.out(gate_of_alternate_channels(row))
