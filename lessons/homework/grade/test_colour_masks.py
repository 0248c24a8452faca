"""Ten points for colour_masks.py: the groups, the masks, the network, and its likelihood."""

import numpy as np
import pytest
from grading import Part, channels_last, every_image, overwrite
from scipy.special import log_softmax

import minipixel as mp

GROUPS = Part("colour_groups", "12", "The order in the masks")
GATE = Part("gate_groups", "12", "Three ways to get it wrong")
LOGITS = Part("logit_groups", "12", "The order in the masks")
MASK = Part("colour_mask", "12", "The order in the masks")
NETWORK = Part("ColourPixelCNN", "12", "The order in the masks")
LIKELIHOOD = Part("log_prob", "03", "From numbers to probabilities")
IMAGE = np.array([0, 1, 2])
Q = 2
K = 5  # no multiple of 3 or 6, so that thirds and halves do not fall together


def mask(kind, size, groups_in, groups_out):
    place = np.arange(size * size).reshape(size, size)
    opened = np.zeros((size, size, len(groups_in), len(groups_out)))
    opened[place < size * size // 2] = 1
    reads = np.less if kind == "A" else np.less_equal
    opened[size // 2, size // 2] = reads.outer(groups_in, groups_out)
    return opened


def wrong_masks(kind, size, groups_in, groups_out):
    """What usual mistakes make of a mask."""
    right = mask(kind, size, groups_in, groups_out)
    centre = (size // 2, size // 2)
    backwards = right.copy()
    backwards[centre] = mask(kind, 1, -groups_in, -groups_out)[0, 0]
    shut = right.copy()
    shut[centre] = 0
    opened = right.copy()
    opened[centre] = 1
    everywhere = right * np.where(right[centre] == 1, 1, 0)
    after = right.copy()
    after[size // 2 + 1 :] = 1
    other = "B" if kind == "A" else "A"
    return {
        "The colours are in the wrong order: at the centre, blue is read by red and green": backwards,
        "Masks A and B are exchanged": mask(other, size, groups_in, groups_out),
        "The centre is shut to all colours, so that green knows nothing of red, and blue of neither": shut,
        "The centre is open to all colours, so that red sees what green and blue are": opened,
        "The order of the colours is kept at all taps; earlier pixels are known in all their colours": everywhere,
        "The rows below the centre are open, and they are the future": after,
    }


def groups_of_layers():
    features = np.arange(K) % 3
    return (IMAGE, features), (features, np.tile(features, 2)), (features, np.repeat(IMAGE, Q))


def made(homework):
    """The network of the submission, its weights noise, and refused unless it has the three layers."""
    model = NETWORK.of(homework)(K, Q, np.random.default_rng(0))
    return NETWORK.noise(model, "weight", [(3, 3, 3, K), (3, 3, K, 2 * K), (1, 1, K, 3 * Q)])


def logits_of(model):
    return lambda images: NETWORK.array(NETWORK.call(model, images), (*images.shape[:3], 3 * Q))


def logits_by_us(model, masks=None):
    """The network with the submission's weights under our masks, or under others."""
    kinds = zip("ABB", (3, 3, 1), groups_of_layers(), strict=True)
    masks = masks or [mask(kind, size, *groups) for kind, size, groups in kinds]

    def logits(images):
        features = images
        for number, layer in enumerate(model.layers):
            features = mp.ops.conv2d(features, layer.weight.data * masks[number], layer.bias.data)
            features = mp.ops.gate(features) if number == 1 else features
        return features

    return logits


@pytest.mark.points(2)
def test_the_groups(homework):
    for channels in (K, 7):
        dealt = np.arange(channels) % 3
        thirds = np.sort(dealt)
        mistakes = {"The channels are split into three blocks, wanted dealt out in turn: 0 1 2 0 1 2": thirds}
        GROUPS.same(GROUPS.of(homework)(channels, 3), dealt, mistakes, "The groups are wrong")
    for groups in (np.array([0, 1, 2, 0, 1]), np.array([2, 0])):
        cut = np.sort(np.tile(groups, 2))
        dealt = np.arange(2 * len(groups)) % 3
        mixing = "The gate multiplies channels of different colours: its two halves must have the same groups"
        mistakes = {mixing: [cut, dealt, np.repeat(groups, 2)]}
        GATE.same(GATE.of(homework)(groups), np.tile(groups, 2), mistakes, "The groups before the gate are wrong")
    in_turn = np.tile(IMAGE, 4)
    mistakes = {"The colours take turns in the logits, wanted all logits of red first": in_turn}
    LOGITS.same(LOGITS.of(homework)(3, 4), np.repeat(IMAGE, 4), mistakes, "The groups of the logits are wrong")


@pytest.mark.points(2)
def test_the_masks(homework):
    groups = np.array([0, 1, 2, 0, 1])
    for kind, size, groups_in, groups_out in (
        ("A", 3, IMAGE, groups),
        ("B", 3, groups, IMAGE),
        ("B", 1, groups, groups),
    ):
        arguments = kind, size, groups_in, groups_out
        otherwise = f'Mask "{kind}" of {size} x {size} taps is wrong (a place is: row, column, channel in, channel out)'
        MASK.same(MASK.of(homework)(*arguments), mask(*arguments), wrong_masks(*arguments), otherwise)


@pytest.mark.points(1)
def test_the_network(homework):
    model = made(homework)
    images = every_image(Q, (1, 2, 3))
    first, second, last = groups_of_layers()
    a, b, c = mask("A", 3, *first), mask("B", 3, *second), mask("B", 1, *last)
    all_red = mask("A", 3, 0 * first[0], 0 * first[1])
    mixing = [mask("B", 3, second[0], other) for other in (np.sort(second[1]), np.arange(2 * K) % 3)]
    masks = {
        'The first layer has mask "B", and so it shows each colour to itself': [(mask("B", 3, *first), b, c)],
        "The last layer has no mask: with 1 x 1 taps, too, it shows red what blue knows": [(a, b, np.ones(c.shape))],
        'A later layer has mask "A", so that each colour loses what its own features know': [
            (a, b, mask("A", 1, *last)),
            (a, mask("A", 3, *second), c),
            (a, mask("A", 3, *second), mask("A", 1, *last)),
        ],
        "All channels of the first layer count as red, so that no colour learns of its own pixel": [(all_red, b, c)],
        "The gate multiplies channels of different colours: its halves must have the same groups": [
            (a, other, c) for other in mixing
        ],
    }
    mistakes = {cause: [logits_by_us(model, each)(images) for each in of_cause] for cause, of_cause in masks.items()}
    otherwise = (
        "The logits are not those of our layers with your weights (if there is a message above, correct that first)"
    )
    NETWORK.same(logits_of(model)(images), logits_by_us(model)(images), mistakes, otherwise)


@pytest.mark.points(3)
def test_it_sees_the_past_and_nothing_else(homework):
    model = made(homework)
    NETWORK.causal(channels_last(logits_of(model)), (3, 3, 3))
    NETWORK.sees_as_much(channels_last(logits_of(model)), channels_last(logits_by_us(model)), (3, 3, 3))


@pytest.mark.points(2)
def test_the_likelihood(homework):
    rng = np.random.default_rng(2)
    images = every_image(Q, (1, 2, 3))
    H, W, N, C = images.shape
    of_levels = rng.normal(size=(H, W, N, C, Q))
    log_p = np.take_along_axis(log_softmax(of_levels, axis=-1), images[..., None], axis=-1)[..., 0]
    in_turn = of_levels.reshape(H, W, N, Q, C).swapaxes(-1, -2)
    of_turns = np.take_along_axis(log_softmax(in_turn, axis=-1), images[..., None], axis=-1)[..., 0]
    wanted = log_p.sum(axis=(0, 1, 3))
    mistakes = {
        "The logits are read as if the colours took turns, wanted all logits of red first": of_turns.sum(
            axis=(0, 1, 3)
        ),
        "The mean over the sub-pixels stands where the sum should": wanted / (H * W * C),
        "The sign is wrong: this is -log p": -wanted,
        "The logits are not normalised: the softmax is missing": np.take_along_axis(
            of_levels, images[..., None], -1
        ).sum(axis=(0, 1, 3, 4)),
    }
    flat = of_levels.reshape(H, W, N, C * Q)
    LIKELIHOOD.same(LIKELIHOOD.of(homework)(flat, images), wanted, mistakes, "The log-probability is wrong")
    huge = LIKELIHOOD.of(homework)(1000 * np.ones_like(flat), images)
    otherwise = "The exponential overflows: where all logits are 1000, each level should have the probability 1 / Q"
    LIKELIHOOD.same(huge, np.full(N, -H * W * C * np.log(Q)), {}, otherwise)
    log_p = LIKELIHOOD.array(LIKELIHOOD.of(homework)(logits_of(made(homework))(images), images), (N,))
    NETWORK.sums_to_1(log_p, "images of 1 x 2 pixels")  # log_prob is right by now, so the logits are to blame
