"""The instructions of drawn_graphs that move pixels, scan a map, or call a whole layer."""

import numpy as np
from drawn_instructions import INSTRUCTIONS, LONGEST, WIDTHS, instruction, known

from minipixel import nn, ops
from minipixel.models.pixelcnn import ResidualBlock
from minipixel.models.pixelrnn import DiagonalLayer, RowLayer

__all__ = ["INSTRUCTIONS"]


# --- scans and moves --------------------------------------------------------------------------------------------------


@instruction
def lstm_scan(build, a, b):
    a = build.calm(build.pick(a))
    (H, W), h = known(build, a).size, build.choose(3, 1, 5, 17)
    gates_of = build.linear(a, 4 * h)
    taps = build.choose((-1, 0, 1), (-1, 0), (0,), (1,), (-2, 1), (0, -1))
    static = {"taps": taps}
    moves = known(build, a).moves
    spans = build.choose(None, None, "drawn")
    if moves and moves[-1][0] == "skew":
        static["spans"] = ops.diagonal_spans(*moves[-1][2])
    elif spans:
        ends = np.sort(np.random.default_rng(len(build.steps)).integers(0, W + 1, (H, 2)), axis=1)
        static["spans"] = [(int(first), int(last)) for first, last in ends]
    start = build.choose((False, False), (True, True), (True, False), (False, True))
    weights = [build.weight(len(taps), h, 4 * h), *(build.weight(h) if given else None for given in start)]
    build.emit("lstm_scan", [gates_of], weights, static, K=h, bound=1.0)


@instruction
def moved(build, a, b):
    a = build.pick(a)
    build.emit(build.choose("shift_down", "shift_right", "mirror"), [a])


@instruction
def skewed(build, a, b):
    a = build.pick(a, lambda value: value.size is not None and sum(value.size) <= LONGEST)
    if a is not None:
        (H, W), moves = known(build, a).size, known(build, a).moves
        build.emit("skew", [a], size=(H + W - 1, H), moves=(*moves, ("skew", 1, (H, W))))


@instruction
def unskewed(build, a, b):
    """A map that was skewed, or any other that is high enough."""
    a = build.pick(a, lambda value: value.size is not None and value.size[0] >= value.size[1])
    if a is None:
        return
    (D, H), moves = known(build, a).size, known(build, a).moves
    back = moves and moves[-1][0] == "skew"
    build.emit("unskew", [a], size=(H, D - H + 1), moves=moves[:-1] if back else (*moves, ("unskew", 1, (D, H))))


@instruction
def columns(build, a, b):
    call = build.choose("add_column", "drop_column")
    a = build.pick(a, lambda value: value.size is not None and value.size[1] > (call == "drop_column"))
    if a is None:
        return
    (H, W), moves, back = known(build, a).size, known(build, a).moves, {"add_column": "drop_column"}
    undone = moves and moves[-1][0] == back.get(call, "add_column")
    moves = moves[:-1] if undone else (*moves, (call, 1, (H, W)))
    build.emit(call, [a], size=(H, W + 1 if call == "add_column" else W - 1), moves=moves)


@instruction
def subsample(build, a, b):
    a, stride = build.pick(a), build.choose(2, 3, 4)
    (H, W), moves = known(build, a).size, known(build, a).moves
    size = -(-H // stride), -(-W // stride)
    build.emit("subsample", [a], static={"stride": stride}, size=size, moves=(*moves, ("stride", stride, (H, W))))


@instruction
def overlay(build, a, b):
    """A small map laid over the one that it came from, or another as large."""
    small = build.pick(a, lambda value: bool(value.moves) and value.moves[-1][0] == "stride" and value.images)
    if small is None:
        return
    of = known(build, small)
    *moves, (_, stride, size) = of.moves
    large = build.pick(b, lambda value: (value.size, value.images) == (size, True))
    if large is None:
        return
    if known(build, large).K != of.K:
        large = build.linear(large, of.K)
    bound = max(of.bound, known(build, large).bound)
    build.emit("overlay", [large, small], static={"stride": stride}, moves=tuple(moves), size=size, bound=bound)


# --- layers -----------------------------------------------------------------------------------------------------------


def colours(build, K):
    return nn.colour_groups(K, build.model.image_shape[2])


def told(build, a):
    """How many numbers a layer is told, and which condition: None where it would not fit the map."""
    width = build.model.conditions.width
    fits = width and build.values[1].size in (None, known(build, a).size) and build.choose(True, False)
    return (width, "condition") if fits else (0, None)


@instruction
def convolution_layer(build, a, b):
    kind = build.choose(nn.Conv2d, nn.VerticalConv2d, nn.Pointwise, nn.UnmaskedConv2d, nn.ShiftedConv2d)
    a = build.calm(build.pick(a))
    of, K, init = known(build, a), build.choose(*WIDTHS), build.model.init
    groups, kernel, dilation = (colours(build, of.K), colours(build, K)), build.choose((3, 3), (1, 3)), (1, 2, 3)
    if kind is nn.Pointwise:
        layer = kind(*groups, init)
    elif kind is nn.UnmaskedConv2d:
        layer = kind(of.K, K, kernel, init, dilation=build.choose(*dilation))
    elif kind is nn.ShiftedConv2d:
        layer = kind(of.K, K, kernel, build.choose("down", "down-right"), init, build.choose(True, False))
    else:
        layer = kind(*groups, kernel, build.choose("B", "A"), init, build.choose(*dilation))
    name, times = build.attribute("layer", layer), build.choose(1, 1, 2)
    a = build.emit(name, [a], K=K, bound=5.0)
    if times == 2 and of.K == K:  # the same layer once more
        build.emit(name, [a], K=K, bound=9.0)


@instruction
def block(build, a, b):
    """Layers of the library that are made of several, among layers of other kinds."""
    a = build.calm(build.pick(a, lambda value: value.size is not None and value.images))
    h, C, init = build.choose(3, 5, 17), build.model.image_shape[2], build.model.init
    width, condition = told(build, a)
    kind = build.choose("residual", "row", "diagonal", "gated", "top")
    wide = build.linear(a, 2 * h)
    if kind == "residual":
        activation, rate = build.choose("relu", "prelu"), build.choose(0.0, 0.4)
        layer = ResidualBlock(h, C, 3, width, activation, rate, init)
        build.emit(build.attribute("layer", layer), [wide], [condition, "rng"], bound=6.0)
    elif kind in ("row", "diagonal"):
        layer = {"row": RowLayer, "diagonal": DiagonalLayer}[kind](h, C, width, build.choose(False, True), init)
        build.emit(build.attribute("layer", layer), [wide], [condition], K=h, bound=2.0)
    elif kind == "gated":
        groups, mask = colours(build, 2 * h), build.choose("B", "A")
        layer = nn.GatedLayer(groups, groups, 3, mask, width, init, build.choose(1, 2))
        pick = build.choose(1, 0)
        K, name = (2 if pick == 0 else 1) * 2 * h, build.attribute("layer", layer)
        build.emit(name, [wide, wide], [condition], pick=pick, K=K, bound=6.0)
    else:
        K = max(C, build.choose(*WIDTHS))
        layer = nn.Top(colours(build, 2 * h), max(C, 7), colours(build, K), init, build.choose("relu", "prelu"))
        build.emit(build.attribute("layer", layer), [wide], K=K, bound=6.0)
