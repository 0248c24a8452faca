"""Ten points for lstm_scan.py: a step, the input convolution, the scan down the rows, and a step backwards."""

import numpy as np
import pytest
from grading import Part, channels_last, every_image
from scipy.special import expit

import minipixel as mp

STEP = Part("step", "13", "A value to keep")
INPUT = Part("input_to_state", "13", "A whole row at once")
SCAN = Part("row_scan", "13", "A whole row at once")
BACKWARD = Part("step_backward", "13", "Back through time")
K = 2


def step(z, m_before, gates="ofi", show=np.tanh, write=np.tanh):
    """A step; the last arguments are there for usual mistakes."""
    parts = dict(zip(gates, np.split(z, 4, axis=-1)[:3], strict=True))
    m = expit(parts["f"]) * m_before + expit(parts["i"]) * write(z[..., 3 * z.shape[-1] // 4 :])
    return expit(parts["o"]) * show(m), m


def row_scan(z, weight, taps=(-1, 0, 1), reads="h", keeps=True, around=False, upwards=False, too_early=False):
    """The states of all cells; the last arguments are there for usual mistakes."""
    H, W, N, _ = z.shape
    units = weight.shape[1]
    states = np.zeros((H, W, N, units))
    h = np.zeros((W, N, units))
    m = np.zeros((W, N, units))
    for r in reversed(range(H)) if upwards else range(H):
        above = m.copy() if reads == "m" else h.copy()
        before = m.copy() if keeps else np.zeros_like(m)
        for c in range(W):
            row = h if too_early else above  # h holds new states up to column c already
            places = [(c + tap) % W if around else c + tap for tap in taps]
            read = [row[place] @ weight[t] for t, place in enumerate(places) if 0 <= place < W]
            h[c], m[c] = step(z[r, c] + sum(read), before[c])
        states[r] = h
    return states


def input_to_state(image, weight, taps=(0,), around=False):
    """The share of the image in the pre-activations, through some of the three taps."""
    z = np.zeros((*image.shape[:3], weight.shape[2]))
    for tap in taps:
        moved = np.roll(image, 1 - tap, axis=1)
        if not around:
            moved[:, : max(0, 1 - tap)] = 0
            moved[:, image.shape[1] + min(0, 1 - tap) :] = 0
        z = z + moved @ weight[tap]
    return z


def states_of(input_weight, weight, of_input, of_scan, part):
    """A Row LSTM, from the image to the states, of two functions: a function on maps, refused in the name of `part`."""

    def states(image):
        z = part.array(of_input(image, input_weight), (*image.shape[:3], 4 * K))
        return part.array(of_scan(z, weight), (*image.shape[:3], K))

    return states


@pytest.mark.points(2)
def test_a_step(homework):
    rng = np.random.default_rng(0)
    z = 2 * rng.normal(size=(5, 4 * K))
    m_before = rng.normal(size=(5, K))
    result = STEP.pair(STEP.of(homework)(z, m_before), "the states h and the memories m")
    h, m = step(z, m_before)
    swapped = step(z, m_before, "oif")
    not_written = step(z, m_before, write=expit)
    mistakes = {
        "The forget gate and the input gate are exchanged": swapped[1],
        "The output gate and the forget gate are exchanged: the order is o, f, i, g": step(z, m_before, "foi")[1],
        "The output gate and the input gate are exchanged: the order is o, f, i, g": step(z, m_before, "ifo")[1],
        "The state and the memory are exchanged: wanted h, then m": h,
        "The value to write is squeezed by a sigmoid, wanted by tanh: it may be negative": not_written[1],
        "The value to write is not squeezed: the tanh is missing": step(z, m_before, write=lambda g: g)[1],
    }
    STEP.same(result[1], m, mistakes, "The memory is wrong")
    mistakes = {
        "The state shows the memory itself: the tanh is missing": step(z, m_before, show=lambda m: m)[0],
        "The state shows the memory through a sigmoid, wanted a tanh": step(z, m_before, show=expit)[0],
        "The state is made of the memory before the step": expit(z[:, :K]) * np.tanh(m_before),
    }
    STEP.same(result[0], h, mistakes, "The state is wrong")


@pytest.mark.points(2)
def test_input_to_state(homework):
    rng = np.random.default_rng(1)
    image = rng.normal(size=(3, 4, 2, 1))
    weight = rng.normal(size=(3, 1, 4 * K))
    mistakes = {
        "The tap to the right is open, and it sees the future": [
            input_to_state(image, weight, taps) for taps in ((0, 1, 2), (0, 2))
        ],
        "The centre tap is open, which is mask B: here the image itself is read": input_to_state(image, weight, (0, 1)),
        "The taps are the wrong way round: the right neighbour is read in place of the left one": [
            input_to_state(image, weight, (2,)),
            input_to_state(image, weight[::-1], (2,)),
        ],
        "The left neighbour is read, but by the tap of the right one": input_to_state(image, weight[::-1]),
        "The row wraps around its border: the first pixel reads the last one": input_to_state(
            image, weight, around=True
        ),
    }
    result = INPUT.of(homework)(image, weight)
    INPUT.same(result, input_to_state(image, weight), mistakes, "The share of the image is wrong")


@pytest.mark.points(3)
def test_the_scan(homework):
    rng = np.random.default_rng(2)
    z = rng.normal(size=(3, 4, 2, 4 * K))
    weight = rng.normal(size=(3, K, 4 * K))
    right = mp.ops.lstm_scan(z, weight, None, None, taps=(-1, 0, 1))
    if not np.allclose(row_scan(z, weight), right):
        raise AssertionError("the reference of this test is wrong")
    mistakes = {
        "h is read before its time: a row overwrites the states of the row above while it still reads them": row_scan(
            z, weight, too_early=True
        ),
        "The rows are scanned upwards, and so the future is read": row_scan(z, weight, upwards=True),
        "The memory of the row above is read in place of its state": row_scan(z, weight, reads="m"),
        "The memory is not kept from row to row": row_scan(z, weight, keeps=False),
        "The row above wraps around its border: the first cell reads the last one": row_scan(z, weight, around=True),
        "Left and right are exchanged in the row above": row_scan(z, weight, taps=(1, 0, -1)),
        "The states of the row above are not read": row_scan(z, 0 * weight),
        "Only the state straight above is read": row_scan(z, weight * np.array([0, 1, 0])[:, None, None]),
    }
    SCAN.same(SCAN.of(homework)(z, weight), right, mistakes, "The states are wrong")


@pytest.mark.points(1)
def test_it_sees_the_past_and_nothing_else(homework):
    rng = np.random.default_rng(3)
    weights = rng.normal(size=(3, 1, 4 * K)), rng.normal(size=(3, K, 4 * K))
    ours = states_of(*weights, input_to_state, row_scan, SCAN)
    images = every_image(2, (3, 3, 1)).astype(float)
    mixtures = {INPUT: (INPUT.of(homework), row_scan), SCAN: (input_to_state, SCAN.of(homework))}
    for part, (of_input, of_scan) in mixtures.items():
        states = states_of(*weights, of_input, of_scan, part)
        part.causal(channels_last(states), (4, 4, 1))
        part.sees_as_much(channels_last(states), channels_last(ours), (4, 4, 1))
        logits = 3 * states(images)[..., :1]
        log_p = -np.logaddexp(0, -(2 * images - 1) * logits).sum(axis=(0, 1, 3))
        part.sums_to_1(log_p, "images of 3 x 3 pixels, with logits of three times the first state,")


@pytest.mark.points(2)
def test_a_step_backwards(homework):
    rng = np.random.default_rng(4)
    z = rng.normal(size=(3, 4 * K))
    m_before, h_gradient, m_gradient = rng.normal(size=(3, 3, K))

    def slopes(array, at, h_share=1, m_share=1):
        """The gradient of what is asked of h and m, by a small step to either side of each number."""
        result = np.zeros_like(array)
        for place in np.ndindex(array.shape):
            for sign in (1, -1):
                moved = array.copy()
                moved[place] += sign * 1e-5
                h, m = step(*at(moved))
                loss = h_share * (h * h_gradient).sum() + m_share * (m * m_gradient).sum()
                result[place] += sign * loss / 2e-5
        return result

    def of_both(**shares):
        of_z = slopes(z, lambda moved: (moved, m_before), **shares)
        return np.concatenate([of_z, slopes(m_before, lambda moved: (z, moved), **shares)], axis=-1)

    result = BACKWARD.pair(BACKWARD.of(homework)(z, m_before, h_gradient, m_gradient), "those of z and of m_before")
    of_z, of_m = (BACKWARD.array(part, array.shape) for part, array in zip(result, (z, m_before), strict=True))
    right = of_both()
    o, f, i = np.split(expit(z), 4, axis=-1)[:3]
    g = np.tanh(z[:, 3 * K :])
    slope = np.concatenate([o * (1 - o), f * (1 - f), i * (1 - i), 1 - g**2, np.ones_like(f)], axis=-1)
    memory = right[:, 4 * K :] / f
    mistakes = {
        "The loss reaches the memory through the state, too: m_gradient alone is not enough": [
            of_both(h_share=0),
            np.concatenate([right[:, :K], of_both(h_share=0)[:, K:]], axis=-1),
        ],
        "m_gradient is forgotten": of_both(m_share=0),
        "The slopes of the gates are missing: sigmoid' = s (1 - s), and tanh' = 1 - t * t": right / slope,
        "The gradient of m_before is not multiplied by the forget gate": np.concatenate(
            [right[:, : 4 * K], memory], axis=-1
        ),
    }
    BACKWARD.same(
        np.concatenate([of_z, of_m], axis=-1),
        right,
        mistakes,
        "A gradient is wrong (the last number of the place counts the 4K of z first, then the K of m_before)",
    )
