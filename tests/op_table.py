"""One row an op: inputs to try it on. A row buys every check in test_ops.py."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minipixel import Tensor, nn, ops
from minipixel.backend import array_module
from minipixel.tensor import gradients

GREY, RGB, WIDE = nn.colour_groups(4, 1), nn.colour_groups(6, 3), nn.colour_groups(10, 3)


@dataclass(frozen=True)
class Row:
    """`shapes` of the differentiable inputs; `static` keyword arguments; `low`, `high` bound the random values.

    Inputs that `whole` names are whole numbers from 0 to `high`, as codes are.
    """

    op: Any
    shapes: tuple[tuple[int, ...], ...]
    static: dict[str, Any] = field(default_factory=dict)
    method: str = "complex"
    low: float = -3.0
    high: float = 3.0
    case: str = ""
    whole: tuple[int, ...] = ()

    @property
    def id(self):
        return f"{self.op.__name__}-{self.case}" if self.case else self.op.__name__

    def inputs(self, dtype=np.float64, seed=0):
        rng = np.random.default_rng(seed)
        found = [np.asarray(rng.uniform(self.low, self.high, shape), dtype) for shape in self.shapes]
        return [np.abs(np.rint(x)) if i in self.whole else x for i, x in enumerate(found)]


def run(row, inputs, seed_scale=1.0):
    """The value of a row's op, and the gradients of its inputs, where these are: on the host or on a device."""
    tensors, xp = [Tensor(x) for x in inputs], array_module(inputs[0])
    # images are data and live where the data lives; masks are static and stay on the host
    static = {name: xp.asarray(value) if name == "images" else value for name, value in row.static.items()}
    output = row.op(*tensors, **static)
    seed = np.asarray(np.random.default_rng(2).standard_normal(output.shape) * seed_scale, output.dtype)
    return output.data, gradients(output, tensors, xp.asarray(seed))


def levels(shape, Q):
    return np.random.default_rng(1).integers(0, Q, shape).astype(np.uint8)


def conv_row(map_shape, kernel, groups_in, groups_out, kind, case, **static):
    mask = nn.causal_mask(kernel, groups_in, groups_out, kind)
    shapes = (*map_shape, len(groups_in)), mask.shape, (len(groups_out),)
    return Row(ops.conv2d, shapes, {"mask": mask} | static, case=case)


def transposed_row(map_shape, kernel, size, case, **static):
    shapes = (*map_shape, 3), (*kernel, 3, 2), (2,)
    return Row(ops.transposed_conv2d, shapes, {"size": size} | static, case=case)


def mixture_rows(op, method):
    """Grey and RGB, two levels (nothing but tails) and more (bins inside); log-scales in [-3, 3] and away from it."""
    grey = {"images": np.arange(12, dtype=np.uint8).reshape(2, 3, 2, 1) % 5, "levels": 5}
    yield Row(op, ((2, 3, 2, 9),), grey, method, case="grey")
    yield Row(op, ((2, 3, 2, 6),), grey, method, low=-6, high=-2, case="narrow")
    yield Row(op, ((2, 1, 2, 3),), {"images": levels((2, 1, 2, 1), 256), "levels": 256}, method, case="256-levels")
    yield Row(op, ((2, 1, 2, 20),), {"images": levels((2, 1, 2, 3), 2), "levels": 2}, method, case="rgb-2-levels")
    yield Row(op, ((1, 2, 3, 20),), {"images": levels((1, 2, 3, 3), 4), "levels": 4}, method, case="rgb")
    yield Row(op, ((1, 2, 2, 12),), {"images": levels((1, 2, 2, 2), 5), "levels": 5}, method, case="2-channels")
    yield Row(op, ((1, 2, 1, 21),), {"images": levels((1, 2, 1, 5), 3), "levels": 3}, method, case="5-channels")


def scan_row(taps, case, H=4, W=3, start=True, **static):
    K, K_start = 2, ((2,), (2,)) if start else ()
    op = ops.lstm_scan if start else started_from_zero
    return Row(op, ((H, W, 2, 4 * K), (len(taps), K, 4 * K), *K_start), {"taps": taps, **static}, case=case)


def started_from_zero(z, weight, **static):
    return ops.lstm_scan(z, weight, None, None, **static)


started_from_zero.__name__ = "lstm_scan"
ROW, DIAGONAL = (-1, 0, 1), (-1, 0)


def only_normalised(x, **static):
    return ops.layer_norm(x, None, None, **static)


only_normalised.__name__ = "layer_norm"

TABLE = [
    Row(ops.add, ((2, 3), (2, 3))),
    Row(ops.add, ((2, 3), (3,)), case="broadcast"),
    Row(ops.add, ((2, 1), (1, 3)), case="broadcast-both"),
    Row(ops.add, ((2, 3, 2, 4), (1, 1, 2, 4)), case="one-for-all-pixels"),
    Row(ops.add, ((2, 3, 2, 4), (1, 4)), case="a-row-for-all"),
    Row(ops.multiply, ((2, 3), (2, 3))),
    Row(ops.multiply, ((2, 3), ()), case="broadcast"),
    Row(ops.multiply, ((2, 3, 2, 4), (2, 1, 2, 1)), case="broadcast-maps"),
    Row(ops.power, ((2, 3),), {"exponent": 3}),
    Row(ops.power, ((2, 3),), {"exponent": -1}, low=0.5, case="inverse"),
    Row(ops.exp, ((2, 3),)),
    Row(ops.log, ((2, 3),), low=0.1),
    Row(ops.tanh, ((2, 3),)),
    Row(ops.sigmoid, ((2, 3),)),
    Row(ops.sigmoid, ((2, 3),), low=-30, high=30, case="tails"),
    Row(ops.relu, ((4, 5),)),
    Row(ops.relu, ((4, 5),), method="central", case="central"),
    Row(ops.prelu, ((2, 3, 2, 4), (4,))),
    Row(ops.dropout, ((3, 4),), {"keep": levels((3, 4), 2) == 1, "rate": 0.3}),
    Row(ops.gate, ((2, 3, 2, 6),)),
    Row(ops.gate, ((2, 4),), low=-30, high=30, case="tails"),
    Row(ops.total, ((2, 3),)),
    Row(ops.total, ((2, 3, 2, 4),), {"axes": (0, 1, 3)}, case="one-an-image"),
    Row(ops.mean, ((2, 3),)),
    Row(ops.one_hot, ((2, 3, 2, 2),), {"levels": 4}, whole=(0,), high=3),
    Row(ops.embedding, ((2, 3, 2, 1), (1, 4, 3)), whole=(0,), high=3),
    Row(ops.embedding, ((2, 3, 2, 2), (2, 4, 3)), whole=(0,), high=3, case="two-tables"),
    Row(ops.linear, ((2, 3, 2, 4), (4, 5), (5,))),
    Row(ops.linear, ((2, 3, 2, 6), (6, 6), (6,)), {"mask": RGB[:, None] <= RGB}, case="mask"),
    conv_row((3, 4, 2), (3, 3), GREY, GREY, "B", "3x3-B"),
    conv_row((4, 3, 2), (3, 3), RGB, RGB, "B", "3x3-B-rgb"),
    conv_row((4, 5, 2), (7, 7), np.arange(1), GREY, "A", "7x7-A"),
    conv_row((2, 3, 2), (5, 3), np.arange(3), RGB, "A", "5x3-A-rgb"),
    conv_row((3, 4, 2), (2, 2), GREY, GREY, "B", "2x2-B"),
    conv_row((5, 6, 2), (3, 3), GREY, GREY, "B", "3x3-B-dilated", dilation=2),
    conv_row((2, 3, 2), (1, 1), np.arange(1), np.arange(1), "A", "no-open-tap"),
    conv_row((5, 4, 2), (2, 3), GREY, GREY, "B", "strided", stride=2),
    conv_row((5, 7, 2), (2, 2), GREY, GREY, "B", "strided-3", stride=3),
    conv_row((4, 5, 3), (3, 3), WIDE, WIDE, "B", "wide"),
    conv_row((1, 2, 2), (5, 5), WIDE, WIDE, "A", "wide-beyond-the-border", dilation=2),
    conv_row((5, 4, 2), (3, 3), WIDE, WIDE, "B", "wide-strided", stride=2),
    Row(ops.conv2d, ((4, 5, 2, 3), (3, 3, 3, 2), (2,)), case="no-mask"),
    Row(ops.conv2d, ((5, 4, 2, 3), (3, 2, 3, 2), (2,)), {"centre": (2, 1), "stride": 2}, case="centre"),
    transposed_row((2, 3, 2), (2, 3), (4, 6), "doubled", stride=2, centre=(0, 1)),
    transposed_row((3, 3, 2), (2, 2), (5, 5), "odd", stride=2, centre=(0, 0)),
    transposed_row((1, 2, 2), (3, 3), (3, 6), "tripled", stride=3, centre=(0, 0)),
    transposed_row((2, 3, 2), (3, 3), (2, 3), "not-enlarged"),
    Row(ops.weight_norm, ((2, 3, 4, 5), (5,))),
    Row(ops.weight_norm, ((6, 6), (6,)), {"mask": RGB[:, None] < RGB}, case="mask"),
    Row(ops.elu, ((4, 5),)),
    Row(ops.elu, ((4, 5),), low=-30, high=30, case="tails"),
    Row(ops.gelu, ((4, 5),)),
    Row(ops.gelu, ((4, 5),), low=-40, high=40, case="tails"),
    Row(ops.concat_elu, ((2, 3, 2, 4),)),
    Row(ops.linear_gate, ((2, 3, 2, 6),)),
    Row(ops.linear_gate, ((2, 4),), low=-30, high=30, case="tails"),
    Row(ops.softmax, ((2, 3, 2, 5),)),
    Row(ops.softmax, ((2, 3, 2, 6),), {"colours": 3}, low=-30, high=30, case="colours"),
    Row(ops.layer_norm, ((2, 3, 2, 5), (5,), (5,))),
    Row(ops.layer_norm, ((2, 3, 2, 6), (6,), (6,)), {"colours": 3, "epsilon": 1e-3}, case="colours"),
    Row(only_normalised, ((2, 3, 2, 4),), case="no-gain"),
    Row(ops.concat, ((2, 3, 2, 4), (2, 3, 2, 1))),
    Row(ops.skew, ((3, 4, 2, 2),)),
    Row(ops.skew, ((3, 1, 2, 2),), case="narrow"),
    Row(ops.unskew, ((6, 4, 2, 2),)),
    Row(ops.mirror, ((3, 4, 2, 2),)),
    Row(ops.shift_down, ((3, 4, 2, 2),)),
    Row(ops.shift_down, ((1, 4, 2, 2),), case="one-row"),
    Row(ops.shift_right, ((3, 4, 2, 2),)),
    Row(ops.shift_right, ((3, 1, 2, 2),), case="one-column"),
    Row(ops.subsample, ((5, 4, 2, 2),), {"stride": 2}),
    Row(ops.overlay, ((5, 4, 2, 2), (2, 2, 2, 2)), {"stride": 3}),
    Row(ops.add_column, ((3, 4, 2, 2),)),
    Row(ops.drop_column, ((3, 4, 2, 2),)),
    scan_row(ROW, "row"),
    scan_row(ROW, "row-from-zero", start=False),
    scan_row(ROW, "one-column", W=1),
    scan_row((2, -3), "far-taps"),
    scan_row(DIAGONAL, "diagonal", H=6, spans=ops.diagonal_spans(3, 4)),
    scan_row(DIAGONAL, "diagonal-one-row", W=1, spans=ops.diagonal_spans(1, 4)),
    Row(ops.bernoulli_log_prob, ((2, 3, 2, 1),), {"images": levels((2, 3, 2, 1), 2)}, low=-20, high=20),
    Row(ops.categorical_log_prob, ((2, 3, 2, 5),), {"images": levels((2, 3, 2, 1), 5)}),
    Row(ops.categorical_log_prob, ((2, 2, 2, 9),), {"images": levels((2, 2, 2, 3), 3)}, low=-9, high=9, case="rgb"),
    *mixture_rows(ops.logistic_mixture_log_prob, "complex"),
    *mixture_rows(ops.normal_mixture_log_prob, "central"),  # its special functions take no complex step
    Row(ops.flatten, ((3, 2, 4, 2),)),
    Row(ops.unit, ((4, 5),)),
    Row(ops.unit, ((2, 3, 2),), low=1e-6, high=1e-5, case="short"),
    Row(ops.triplet_loss, ((6, 3),), {"labels": np.array([0, 1, 0, 2, 1, 0]), "margin": 0.2}, case="some-violated"),
    Row(ops.triplet_loss, ((5, 2),), {"labels": np.array([4, 4, 4, 9, 9]), "margin": 50.0}, case="all-violated"),
]
