"""Ten points for masked_convolution.py: its masks, its layer, its network, its likelihood and its training."""

import numpy as np
import pytest
from grading import Part, channels_last, close, every_image, overwrite

import minipixel as mp

MASK = Part("make_mask", "02", "Two masks")
LAYER = Part("MaskedConv2d", "02", "A mask is multiplied every time")
NETWORK = Part("PixelCNN", "02", "Why first A, and B ever after")
LIKELIHOOD = Part("PixelCNN.log_prob", "03", "From numbers to probabilities")
TRAINING = Part("PixelCNN.train_step", "03", "Learn")
SIZES = (5, 3, 3, 1)  # of the kernels of the four layers


def mask(kind, size):
    return pair(size)["AB".index(kind)]


def pair(size, more=0):
    """Masks A and B, one after the other, with some taps more: (2, size, size, 1, 1)."""
    place = np.arange(size * size).reshape(size, size, 1, 1)
    opened = size * size // 2 + more
    return np.stack([place < opened, place < opened + 1]).astype(float)


def wrong_pairs(size):
    """What usual mistakes make of both masks."""
    right = pair(size)
    rows_below = right.copy()
    rows_below[:, size // 2 + 1 :] = 1
    row_of_centre = right.copy()
    row_of_centre[:, size // 2] = 1
    return {
        "Masks A and B are exchanged": right[::-1],
        "A mask is open where it should be shut, and shut where it should be open": 1 - right,
        "The rows below the centre are open, and they are the future": rows_below,
        "The whole row of the centre is open, and so is what is to the right of it": row_of_centre,
        "Rows and columns of the masks are exchanged": right.swapaxes(1, 2),
        "The masks are off by one: one tap too many is open": pair(size, more=1),
        "The masks are off by one: one tap too few is open": pair(size, more=-1),
        "Mask B is the same as mask A: its centre is shut": right[[0, 0]],
        "Mask A is the same as mask B: its centre is open": right[[1, 1]],
    }


def logits_by_us(model, kinds="ABBB", bends=("", "relu", "relu", "relu", "")):
    """The network with the submission's weights under our masks; `bends` says what stands around the layers."""

    def logits(images):
        features = images
        for layer, kind, size, bend in zip(model.layers, kinds, SIZES, bends[:-1], strict=True):
            features = np.maximum(features, 0) if bend == "relu" else features
            features = mp.ops.conv2d(features, layer.weight.data * mask(kind, size), layer.bias.data)
        return np.maximum(features, 0) if bends[-1] == "relu" else features

    return logits


def made(homework, K=4):
    """The network of the submission, its weights noise, and refused unless it has the four layers."""
    model = NETWORK.of(homework)(K, np.random.default_rng(0))
    return NETWORK.noise(model, "weight", [(5, 5, 1, K), (3, 3, K, K), (3, 3, K, K), (1, 1, K, 1)])


def logits_of(model):
    """The logits of a network of the submission, as a function on maps."""
    return lambda images: NETWORK.array(NETWORK.call(model, images), images.shape)


def layer_of(homework, kind, rng):
    """A layer of the submission, from 2 to 3 channels by 3 x 3 taps."""
    layer = LAYER.of(homework)(kind, 2, 3, 3, rng)
    if getattr(getattr(layer, "weight", None), "shape", None) != (3, 3, 2, 3) or not hasattr(layer, "bias"):
        LAYER.refuse(
            "A layer has no weight of shape (size, size, K_in, K_out), or no bias; keep its __init__ as it was"
        )
    return layer


def why_unmasked(homework):
    """What was done with the mask, where the convolution uses all taps."""
    fresh = layer_of(homework, "B", np.random.default_rng(0)).weight.data
    if not fresh[mask("B", 3)[:, :, 0, 0] == 0].any():
        return "The mask is multiplied into the weights once; after the first change of the weights all taps are open"
    model = made(homework)
    before = model.layers[1].weight.data.copy()
    TRAINING.call(model.train_step, every_image(2, (2, 2, 1)), 0.1)
    moved = model.layers[1].weight.data != before
    if moved.any() and not moved[mask("B", 3)[:, :, 0, 0] == 0].any():
        return "The mask is applied to the gradient only; the shut taps do not learn, but they still see the future"
    return "The convolution uses all taps: its kernel is not multiplied by the mask"


@pytest.mark.points(2)
def test_the_masks(homework):
    for size in (3, 5, 1):
        opened = [MASK.array(MASK.of(homework)(kind, size), (size, size, 1, 1)) for kind in "AB"]
        of_size = f"of {size} x {size} taps (first A, then B: 0 or 1 is the first number of the place)"
        MASK.same(np.stack(opened), pair(size), wrong_pairs(size), f"A mask {of_size} is wrong")


@pytest.mark.points(2)
def test_the_layer_multiplies_its_kernel_by_the_mask(homework):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(4, 5, 2, 2))
    for kind in ("B", "A"):
        own_mask = MASK.array(MASK.of(homework)(kind, 3), (3, 3, 1, 1))  # a wrong one has cost its points already
        layer = overwrite(layer_of(homework, kind, rng))
        weight = layer.weight.data.copy()
        bias = layer.bias.data
        result = LAYER.call(layer, x)
        if not np.array_equal(layer.weight.data, weight):
            LAYER.refuse("The forward pass writes into the weights; multiply by the mask, and leave the weights alone")
        right = mp.ops.conv2d(x, weight * own_mask, bias)
        unmasked = mp.ops.conv2d(x, weight, bias)
        if close(LAYER.array(result, right.shape), unmasked):
            LAYER.refuse(why_unmasked(homework))
        mistakes = {
            "The bias is missing": mp.ops.conv2d(x, weight * own_mask, None),
            f'The layer was made with mask "{kind}", and uses the other one': mp.ops.conv2d(
                x, weight * mask("BA"["AB".index(kind)], 3), bias
            ),
        }
        LAYER.same(result, right, mistakes, "The result is not the convolution by the kernel times its mask")


@pytest.mark.points(1)
def test_the_network(homework):
    model = made(homework)
    images = every_image(2, (3, 3, 1))
    mistakes = {
        'The first layer has mask "B", and so it shows each pixel to itself': logits_by_us(model, "BBBB")(images),
        'Later layers have mask "A": each of them loses the neighbours next to the pixel': [
            logits_by_us(model, kinds)(images) for kinds in ("AAAA", "AAAB", "AABB", "ABBA")
        ],
        "There is a relu after the last layer, so no logit is negative": logits_by_us(
            model, bends=("", "relu", "relu", "relu", "relu")
        )(images),
        "There is no relu between the layers": logits_by_us(model, bends=("", "", "", "", ""))(images),
    }
    otherwise = (
        "The logits are not those of our layers with your weights (if there is a message above, correct that first)"
    )
    NETWORK.same(logits_of(model)(images), logits_by_us(model)(images), mistakes, otherwise)


@pytest.mark.points(2)
def test_it_sees_the_past_and_nothing_else(homework):
    model = made(homework)
    NETWORK.causal(channels_last(logits_of(model)), (6, 6, 1))
    NETWORK.sees_as_much(channels_last(logits_of(model)), channels_last(logits_by_us(model)), (6, 6, 1))


@pytest.mark.points(2)
def test_the_likelihood(homework):
    model = made(homework)
    images = every_image(2, (3, 3, 1))
    logits = logits_of(model)(images)
    each = -np.logaddexp(0, -(2 * images - 1) * logits)  # log p of each pixel
    log_p = each.sum(axis=(0, 1, 3))
    got = LIKELIHOOD.array(LIKELIHOOD.call(model.log_prob, images), log_p.shape)
    mistakes = {
        "The mean over the pixels stands where the sum should: the chain rule multiplies probabilities": log_p / 9,
        "The sign is wrong: this is -log p": -log_p,
        "The pixels that are 0 are forgotten: they have the probability 1 - p": (images * each).sum(axis=(0, 1, 3)),
        "The logarithm has the base 2, wanted nats": log_p / np.log(2),
        "Zeros and ones are exchanged": -np.logaddexp(0, (2 * images - 1) * logits).sum(axis=(0, 1, 3)),
    }
    LIKELIHOOD.same(got, log_p, mistakes, "The log-probability does not follow from the logits")
    NETWORK.sums_to_1(got, "images of 3 x 3 pixels")  # it goes with the logits, so these are to blame


@pytest.mark.points(1)
def test_a_step_of_training(homework):
    model = made(homework)
    images = every_image(2, (2, 2, 1))[:, :, ::3]
    N = images.shape[2]
    weights = {name: parameter.data.copy() for name, parameter in model.named_parameters()}
    log_p = LIKELIHOOD.call(model.log_prob, images)
    if not isinstance(log_p, mp.Tensor):
        LIKELIHOOD.refuse(
            f"The result is a {type(log_p).__name__}, wanted a Tensor: the tape has to know how it was made"
        )
    loss = mp.ops.total(log_p) * (-1 / N)
    loss.backward()
    gradients = {name: parameter.grad.copy() for name, parameter in model.named_parameters()}
    returned = TRAINING.call(model.train_step, images, 0.1)
    mistakes = {"The loss is the sum over the images, wanted the mean": N * loss.data, "Its sign is wrong": -loss.data}
    TRAINING.same(returned, loss.data, mistakes, "The loss is not the mean of -log p")
    for name, parameter in model.named_parameters():
        step = 0.1 * gradients[name]
        mistakes = {
            f"The step goes uphill: {name} moves along its gradient, not against it": weights[name] + step,
            f"{name} does not move": weights[name],
            f"The step of {name} is not multiplied by the rate": weights[name] - 10 * step,
        }
        TRAINING.same(parameter.data, weights[name] - step, mistakes, f"{name} takes a wrong step")
