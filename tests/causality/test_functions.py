"""Any function on arrays is checked by changing what it is given: causal ones pass, and leaks are told apart."""

import re

import numpy as np
import pytest

import minipixel as mp
from minipixel.causality import layouts


def sums(reads):
    """A function (N, H, W, C) -> (N, H, W, C): each output the sum of what `reads` (S, S) lets it see."""

    def function(images):
        flat = images.reshape(len(images), -1).astype(np.float64)
        return np.where(reads, flat[:, None], 0).sum(axis=2).reshape(images.shape)  # no product: no rounding of zeros

    return function


def past(shape, order="raster"):
    place = mp.causality.arguments.check_order(order, shape).ravel()
    return place[None, :] < place[:, None]


@pytest.mark.parametrize("shape", [(3, 4, 1), (2, 3, 3), (2, 2, 2), (1, 3, 4), (1, 1, 17)])
@pytest.mark.parametrize("order", ["raster", "rgb-planes"])
def test_a_causal_function_and_one_that_reads_a_single_sub_pixel_too_many(shape, order):
    reads = past(shape, order)
    report = mp.check_causality(sums(reads), shape, order=order)
    assert report.ok and len(report.blind) == 0
    np.testing.assert_array_equal(report.dependencies, reads)
    output, read = 0, len(reads) - 1
    late = reads.copy()
    late[output, read] = True
    late[read, output] = True
    if not reads[output, read]:
        with pytest.raises(mp.CausalityError, match=r"^function: sub-pixel \(0, 0\)\S*.* depends on .* is drawn later"):
            mp.assert_causal(sums(late), shape, order=order)
    blind = reads.copy()
    blind[read, output] = False
    report = mp.check_causality(sums(blind), shape, order=order)
    assert report.ok and len(report.blind) == int(reads[read, output])


def test_an_order_of_ones_own():
    order = np.arange(12)[::-1].reshape(3, 4, 1)
    function = sums(past((3, 4, 1), order))
    assert mp.check_causality(function, (3, 4, 1), order=order).ok
    assert "masks made for another order" in mp.check_causality(sums(past((3, 4, 1))), (3, 4, 1), order=order).why
    assert len(mp.check_causality(function, (3, 4, 1)).leaks) == 66


CAUSES = {
    "its own value": (lambda x: x, "mask B, or none, where the image comes in"),
    "the next pixel": (lambda x: np.pad(x, ((0, 0), (0, 0), (0, 1), (0, 0)))[:, :, 1:], "a kernel one column too wide"),
    "the row below": (
        lambda x: np.pad(x, ((0, 0), (0, 1), (0, 0), (0, 0)))[:, 1:],
        "zeros appended at the wrong end",
    ),
    "wrapped around": (lambda x: np.roll(x, 1, axis=1), "a roll instead of a shift"),
    "the whole image": (lambda x: x - x.mean(axis=(1, 2, 3), keepdims=True), "a statistic over the whole image"),
    "the whole batch": (lambda x: x - x.mean(axis=0), "batch normalisation"),
    "a centred kernel": (
        lambda x: sum(
            np.roll(np.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0))), s, (1, 2)) for s in ((0, 1), (1, 0), (0, -1), (-1, 0))
        )[:, 2:-2, 2:-2],
        "a convolution without a mask",
    ),
}


@pytest.mark.parametrize("leak", CAUSES)
def test_the_usual_cause(leak):
    function, cause = CAUSES[leak]
    report = mp.check_causality(function, (4, 5, 1))
    assert not report.ok and cause in report.why, report.why
    assert "\n" not in report.why and cause not in str(mp.check_causality(np.zeros_like, (4, 5, 1)))


def test_layouts_and_groups():
    """The same colours in every layout that is understood: green sees the red of its own pixel, in raster order."""
    shape, reads = (2, 3, 3), past((2, 3, 3))
    last = sums(reads)

    def parameters(images):  # (N, H, W, C, Q)
        return last(images)[..., None] * np.arange(1, 6)

    def channels_first(images):
        return np.moveaxis(parameters(images.transpose(0, 2, 3, 1)), (1, 2), (3, 4))  # (N, C, Q, H, W)

    assert mp.check_causality(parameters, shape).ok
    assert mp.check_causality(lambda x: parameters(x).reshape(*x.shape[:3], 15), shape).ok
    assert mp.check_causality(channels_first, (3, 2, 3), channels_first=True).ok
    assert mp.check_causality(lambda x: channels_first(x).swapaxes(1, 2), (3, 2, 3), channels_first=True).ok

    def mixed(x):
        return parameters(x).swapaxes(3, 4).reshape(*x.shape[:3], 15)

    guessed = mp.check_causality(mixed, shape)
    assert guessed.ok and any("in turn" in note for note in guessed.notes) and "note: its colours" in str(guessed)
    assert not mp.check_causality(mixed, shape, layout="NHW(CQ)").ok
    assert mp.check_causality(mixed, shape, layout="NHW(QC)").ok
    assert mp.check_causality(mixed, shape, groups=np.tile(np.arange(3), 5)).ok
    grey = mp.check_causality(lambda x: sums(past((2, 3, 1)))(x)[..., 0], (2, 3, 1))  # (N, H, W)
    assert grey.ok and len(grey.blind) == 0


@pytest.mark.parametrize("C", [2, 4])
@pytest.mark.parametrize("Q", [3, 5])
def test_several_parameters_a_channel(C, Q):
    """(N, H, W, C, Q), and flat: an even split, or `groups` where they come in turn; else it leaks."""
    shape = (2, 3, C)
    one = sums(past(shape))

    def blocks(images):
        return np.repeat(one(images), Q, axis=-1)

    def in_turn(images):
        return np.tile(one(images), Q)

    assert mp.check_causality(lambda x: blocks(x).reshape(len(x), *shape, Q), shape, layout="NHWCQ").ok
    assert mp.check_causality(blocks, shape).ok
    assert mp.check_causality(in_turn, shape, groups=np.tile(np.arange(C), Q)).ok
    assert mp.check_causality(in_turn, shape).ok
    in_blocks = mp.check_causality(in_turn, shape, layout="NHW(CQ)")
    assert "(0, 0) channel 0 depends on (0, 0) channel 0" in str(in_blocks)

    def one_sees_itself(images):  # the second parameter of the first colour, which would be the second colour's in turn
        parameters = np.repeat(one(images), Q, axis=-1)
        parameters[..., 1] += images[..., 0]
        return parameters.reshape(len(images), *shape[:2], C * Q)

    assert not mp.check_causality(one_sees_itself, shape).ok
    with pytest.raises(ValueError, match=r"^groups: got colours \[0, 7\], wanted some of \[0, 1, 2"):
        mp.check_causality(lambda x: x, (2, 3, 4), groups=[0, 7, 0, 7])


@pytest.mark.parametrize("groups", [[0, 0, 0], [1, 1, 1], [2, 0, 2]])
def test_a_colour_may_have_no_parameters(groups):
    shape = (2, 3, 3)
    reads = past(shape).reshape(6, 3, 18)[:, groups].reshape(18, 18)
    report = mp.check_causality(sums(reads), shape, groups=groups)
    assert report.ok
    np.testing.assert_array_equal(np.unique(report.outputs % 3), np.unique(groups))


def readings_of(shape, image_shape):
    return [layout.spelled for layout in layouts.readings(shape, shape[0], image_shape)]


def test_which_readings_a_shape_allows():
    assert readings_of((4, 3, 5, 6, 7), (5, 6, 3)) == ["NCHWQ"]
    assert readings_of((4, 5, 5, 5, 3), (5, 5, 3)) == ["NHWQC", "NQHWC"]
    assert readings_of((4, 8, 8, 8), (8, 8, 1)) == ["NHWP", "NPHW"]
    assert readings_of((4, 75, 9), (5, 5, 3)) == ["NSQ"]
    assert readings_of((4, 12), (1, 6, 1)) == ["N(SQ)", "N(QS)"]
    assert readings_of((4, 5, 5), (5, 6, 1)) == []
    with pytest.raises(
        ValueError, match=r'^output: got shape \(32, 4, 4, 4\), which can be read in 2 ways.*="NHWP" or'
    ):
        mp.check_causality(lambda x: np.repeat(x, 4, axis=3), (4, 4, 1))
    with pytest.raises(ValueError, match=r"^output: got shape \(32,\) .*a loss it seems"):
        mp.check_causality(lambda x: x.mean(axis=(1, 2, 3)), (4, 4, 1))


SPELLED = ["NHWCQ", "NCHWQ", "NQCHW", "N(QC)HW", "NHW(CQ)", "N(HWC)Q", "NQ(HWC)", "N(HWCQ)", "HWNCQ"]


@pytest.mark.parametrize("spelled", SPELLED)
def test_a_layout_leads_there_and_back(spelled):
    sizes = {"N": 2, "H": 3, "W": 4, "C": 3, "Q": 5}
    axes = re.findall(r"\([A-Z]+\)|[A-Z]", spelled)
    shape = tuple(int(np.prod([sizes[letter] for letter in axis.strip("()")])) for axis in axes)
    layout = layouts.Layout(spelled, shape, 2, (3, 4, 3))
    parameters = np.random.default_rng(0).random((2, 3, 4, 15))
    np.testing.assert_array_equal(layout.last(layout.raw(parameters)), parameters)
    assert layout.raw(parameters).shape == shape and np.array_equal(layout.groups, np.repeat(np.arange(3), 5))
    number = parameters[1, 2, 3, 1 * 5 + 4]  # colour 1, parameter 4
    flat = {"N": 1, "H": 2, "W": 3, "C": 1, "Q": 4}
    index = tuple(
        np.ravel_multi_index([flat[x] for x in axis.strip("()")], [sizes[x] for x in axis.strip("()")]) for axis in axes
    )
    assert layout.raw(parameters)[index] == number


def test_inputs():
    seen = []

    def function(images):
        seen.append(images)
        return np.zeros(images.shape)

    mp.check_causality(function, (2, 3, 1), inputs=("uint8", 3, 4))
    assert all(images.dtype == np.uint8 and set(np.unique(images)) == {3, 4} for images in seen)
    seen.clear()
    mp.check_causality(function, (2, 3, 1))
    assert all(images.dtype == np.float32 and np.abs(images).max() <= 1 for images in seen)
    flat = [images.reshape(len(images), -1) for images in seen]
    assert all((batch.min(axis=1) < batch.max(axis=1)).all() for batch in flat[:3])  # those that are not changed ones


def before(images):
    """All that is to the left in the same row and channel, to the bit: (N, H, W, C) -> (N, H, W, C)."""
    return np.pad(np.cumsum(images, axis=2, dtype=np.float64), ((0, 0), (0, 0), (1, 0), (0, 0)))[:, :, :-1]


def test_large_images_say_what_was_tried():
    """One image is changed sub-pixel by sub-pixel; on all images whole futures change at once."""
    report = mp.check_causality(before, (24, 24, 2), images=2)
    assert report.ok and report.dependencies.shape == (1152, 1152) and report.dependencies.sum() == 24 * 2 * 276
    assert "1,152 sub-pixels changed, one at a time, on 1 image: 0 leaks" in str(report)
    assert "all changed from each of 32 sub-pixels on, on 2 images: 0 outputs that leak" in str(report)


def test_some_outputs():
    report = mp.check_causality(sums(past((3, 4, 1))), (3, 4, 1), outputs=[7, 2])
    np.testing.assert_array_equal(report.outputs, [2, 7])
    assert report.dependencies.shape == (2, 12) and "(of 2 outputs)" in str(report)
    np.testing.assert_array_equal(report.dependencies.sum(axis=1), [2, 7])
    leaky = mp.check_causality(lambda x: x, (3, 4, 1), outputs=[7])
    np.testing.assert_array_equal(leaky.leaks, [[[1, 3, 0], [1, 3, 0]]])


REFUSED = {
    "image_shape: got None, wanted (H, W, C), channels last": {"image_shape": None},
    "image_shape: got (4, 0), wanted (H, W, C)": {"image_shape": (4, 0)},
    'order: got \'spiral\', wanted "raster", "pixels", "rgb-planes" or integers of shape (2, 3, 3)': {
        "order": "spiral"
    },
    'modes: got (\'test\',), wanted some of ("evaluation", "training")': {"modes": ("test",)},
    "tolerance: got -1, wanted a share of the largest legal change": {"tolerance": -1},
    "batch_size: got 0, wanted a whole number": {"batch_size": 0},
    "layout: got 'NHWX', wanted letters for the axes": {"layout": "NHWX"},
    "layout: got 'NHW', without C, for 3 channels": {"layout": "NHW"},
    "layout: got 3, wanted a text": {"layout": 3},
    "head: got 'mixture', wanted None or": {"head": "mixture"},
    'head: got 3 parameters per pixel for "logistic_mixture", wanted a multiple of 10': {"head": "logistic_mixture"},
    "call: got 3, wanted a function of the model and x": {"call": 3},
    "order: got int64 of shape (2, 3), wanted": {"order": np.zeros((2, 3), int)},
    "groups: got int64 of shape (2,), wanted 3 integers": {"groups": [0, 1]},
    "groups: got colours [0, 3], wanted some of [0, 1, 2]": {"groups": [0, 3, 3]},
    "inputs: got 'uint8', wanted (dtype, lowest, highest)": {"inputs": "uint8"},
    "inputs: got ('float32', 1, 1), wanted (dtype, lowest, highest)": {"inputs": ("float32", 1, 1)},
    "inputs: got ('uint8', 0, 256), wanted whole numbers that uint8 can hold": {"inputs": ("uint8", 0, 256)},
    "images: got 0, wanted a whole number": {"images": 0},
    "output: got shape (2, 2, 3, 4) for": {"function": lambda x: np.zeros((2, 2, 3, 4))[:, :, :2]},
    "output: got 4 channels, wanted a number that 3 colours share evenly; pass groups=": {
        "function": lambda x: np.zeros((len(x), 2, 3, 4))
    },
    'output: got shape (32, 3, 3, 2, 3), which can be read in 2 ways, wanted layout="NCQHW" or "NQCHW"': {
        "function": lambda x: np.zeros((len(x), 3, 3, 2, 3)),
        "channels_first": True,
        "image_shape": (3, 2, 3),
    },
    "output: got a list, wanted one array of parameters": {"function": list},
    "output: got NaN, wanted numbers": {"function": lambda x: x * np.nan},
    "output: got two different ones for the same images": {
        "function": lambda x: x + np.random.default_rng().random(x.shape)
    },
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_is_refused(message):
    options = {"function": lambda x: x, "image_shape": (2, 3, 3)} | REFUSED[message]
    if message.startswith("output: got shape (2"):
        message, options["function"] = (
            "output: got shape (2, 2, 2, 4) for 32 images of 2 x 3 pixels",
            options["function"],
        )
    with pytest.raises(ValueError) as error:
        mp.check_causality(options.pop("function"), options.pop("image_shape"), **options)
    assert str(error.value).startswith(message) and "\n" not in str(error.value)
