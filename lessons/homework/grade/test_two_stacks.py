"""Ten points for two_stacks.py: both masks, the layer, the network, and what it sees."""

import numpy as np
import pytest
from grading import Part, channels_last, every_image, overwrite

import minipixel as mp

VERTICAL = Part("vertical_mask", "09", "Divide the past in two")
HORIZONTAL = Part("horizontal_mask", "09", "Divide the past in two")
LAYER = Part("GatedLayer", "09", "A layer of both stacks")
NETWORK = Part("TwoStacks", "09", "Where one row is left out")
DEPTH = 4  # layers of 3 x 3 taps, just enough to see all of 5 x 5 pixels
K = 3


def vertical(kind, size=3):
    opened = np.arange(size) < size // 2 + (kind == "B")
    return np.tile(opened[:, None, None, None], (1, size, 1, 1)).astype(float)


def horizontal(kind, size=3):
    opened = np.arange(size) < size // 2 + (kind == "B")
    return opened[None, :, None, None].astype(float)


def both(function, size):
    """The masks A and B of a stack, one after the other."""
    return np.stack([function(kind, size) for kind in "AB"])


def layer_by_us(layer, v, h, kind, masks=None, shift=lambda x: x, link=1, residual=None):
    """A layer of the submission by our own code; the last arguments are there for usual mistakes."""
    of_v, of_h = masks or (vertical(kind), horizontal(kind))
    above = mp.ops.conv2d(v, layer.vertical.data * of_v, None)
    row = mp.ops.conv2d(h, layer.horizontal.data * of_h, None)
    row = row + link * mp.ops.linear(shift(above), layer.link.data, None)
    next_h = mp.ops.linear(mp.ops.gate(row), layer.out.data, None)
    adds = kind == "B" if residual is None else residual
    return mp.ops.gate(above), next_h + h if adds else next_h


def network_by_us(model, kinds=None, **mistake):
    """The network of the submission by our own code."""

    def logits(images):
        v = h = images
        for layer, kind in zip(model.layers, kinds or "A" + "B" * (DEPTH - 1), strict=True):
            v, h = layer_by_us(layer, v, h, kind, **mistake)
        return mp.ops.linear(h, model.top.data, None)

    return logits


def made(homework):
    """The network of the submission, its weights noise, and refused unless it has the layers that are wanted."""
    model = NETWORK.of(homework)(K, DEPTH, np.random.default_rng(0))
    if getattr(getattr(model, "top", None), "shape", None) != (K, 1):
        NETWORK.refuse(f"self.top is no mp.nn.Parameter of the shape {(K, 1)}")
    return NETWORK.noise(model, "vertical", [(3, 3, 1, 2 * K), *[(3, 3, K, 2 * K)] * (DEPTH - 1)])


def logits_of(model):
    return lambda images: NETWORK.array(NETWORK.call(model, images), images.shape)


@pytest.mark.points(2)
def test_the_masks(homework):
    for size in (3, 5):
        right = both(vertical, size)
        own_row_to_the_left = right.copy()
        own_row_to_the_left[1, size // 2, size // 2 + 1 :] = 0
        left = right * (np.arange(size) <= size // 2)[:, None, None]
        mistakes = {
            'Mask "A" of the vertical stack opens the centre\'s row, so the link shows a pixel its own row': right[
                [1, 1]
            ],
            "Masks A and B of the vertical stack are exchanged": right[::-1],
            'Mask "B" of the vertical stack shuts the row of the centre, so that each layer loses a row': right[[0, 0]],
            "The vertical mask shuts taps to the right, so a blind spot remains": [own_row_to_the_left, left],
            "The vertical mask opens the rows below the centre": [1 - right, right[:, ::-1]],
            "Rows and columns of the vertical mask are exchanged": right.swapaxes(1, 2),
        }
        masks = [VERTICAL.array(VERTICAL.of(homework)(kind, size), (size, size, 1, 1)) for kind in "AB"]
        otherwise = "A vertical mask is wrong (the first number of the place is 0 for A, 1 for B)"
        VERTICAL.same(np.stack(masks), right, mistakes, otherwise)

        right = both(horizontal, size)
        mistakes = {
            "Masks A and B of the horizontal stack are exchanged": right[::-1],
            'Mask "A" of the horizontal stack opens the centre, and the centre is the pixel itself': right[[1, 1]],
            'Mask "B" of the horizontal stack shuts the centre': right[[0, 0]],
            "The horizontal mask opens the taps to the right of the centre": [1 - right, right[:, :, ::-1]],
        }
        masks = [HORIZONTAL.array(HORIZONTAL.of(homework)(kind, size), (1, size, 1, 1)) for kind in "AB"]
        otherwise = "A horizontal mask is wrong (the first number of the place is 0 for A, 1 for B)"
        HORIZONTAL.same(np.stack(masks), right, mistakes, otherwise)


@pytest.mark.points(3)
def test_a_layer(homework):
    rng = np.random.default_rng(1)
    for kind, channels in (("A", 1), ("B", K)):
        layer = overwrite(LAYER.of(homework)(kind, channels, K, 3, rng))
        of_v = VERTICAL.array(VERTICAL.of(homework)(kind, 3), (3, 3, 1, 1))  # a wrong one has cost points already
        of_h = HORIZONTAL.array(HORIZONTAL.of(homework)(kind, 3), (1, 3, 1, 1))
        masks = of_v, of_h
        v, h = rng.normal(size=(2, 4, 5, 2, channels))
        result = LAYER.pair(LAYER.call(layer, v, h), "the next v and the next h")
        next_v, next_h = layer_by_us(layer, v, h, kind, masks)
        got_v, got_h = (LAYER.array(features, next_v.shape) for features in result)
        mistakes = {
            "The two stacks are exchanged: wanted the next v, then the next h": next_h,
            "The vertical stack adds its input to its output; only the horizontal one does": next_v + v,
        }
        LAYER.same(got_v, next_v, mistakes, f'The next v of a layer with mask "{kind}" is wrong')
        no_link = layer_by_us(layer, v, h, kind, masks, link=0)[1]
        two_shifts = layer_by_us(layer, v, h, kind, masks, shift=mp.ops.shift_down)[1]
        of_residual = {
            "A": "The first layer adds its input, which is the image: it shows each pixel to itself",
            "B": "A later layer adds h to its output, and this one does not",
        }
        mistakes = {
            "The link is missing: the horizontal stack learns nothing of the rows above": no_link,
            "The link is shifted down a row, but the first mask leaves one row out already: a row is lost": two_shifts,
            of_residual[kind]: layer_by_us(layer, v, h, kind, masks, residual=kind == "A")[1],
            "The vertical convolution reads h in place of v": layer_by_us(layer, h, h, kind, masks)[1],
        }
        LAYER.same(got_h, next_h, mistakes, f'The next h of a layer with mask "{kind}" is wrong')


@pytest.mark.points(1)
def test_the_network(homework):
    model = made(homework)
    images = every_image(2, (3, 3, 1))
    mistakes = {
        'The first layer has mask "B", and so it shows each pixel to itself': network_by_us(model, "B" * DEPTH)(images),
        'Later layers have mask "A": each of them loses a row and a pixel': network_by_us(model, "A" * DEPTH)(images),
    }
    otherwise = (
        "The logits are not those of our layers with your weights (if there is a message above, correct that first)"
    )
    NETWORK.same(logits_of(model)(images), network_by_us(model)(images), mistakes, otherwise)


@pytest.mark.points(2)
def test_nothing_leaks(homework):
    model = made(homework)
    NETWORK.causal(channels_last(logits_of(model)), (5, 5, 1))
    images = every_image(2, (3, 3, 1))
    log_p = -np.logaddexp(0, -(2 * images - 1) * logits_of(model)(images)).sum(axis=(0, 1, 3))
    NETWORK.sums_to_1(log_p, "images of 3 x 3 pixels")


@pytest.mark.points(2)
def test_nothing_is_blind(homework):
    model = made(homework)
    NETWORK.sees_as_much(channels_last(logits_of(model)), channels_last(network_by_us(model)), (5, 5, 1))
