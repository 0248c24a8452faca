"""The instructions of drawn_graphs: one function each, from a builder and two operands to steps.

One for every op that a forward pass can use, and for the layers of minipixel.nn; a test compares the two lists.
"""

import numpy as np

from minipixel import nn, ops
from minipixel.models.pixelcnn import ResidualBlock
from minipixel.models.pixelrnn import DiagonalLayer, RowLayer

WIDTHS = 3, 1, 2, 5, 8, 17
LONGEST, WIDEST = 12, 24
"""The longest side of a map that an instruction makes, and the most channels that it makes more of."""

INSTRUCTIONS = {}


def instruction(function):
    """One row of the table. The builder is the first argument; None where there is no value that suits."""
    INSTRUCTIONS[function.__name__] = function
    return function


def known(build, a):
    return build.values[a]


# --- pointwise --------------------------------------------------------------------------------------------------------


@instruction
def tanh(build, a, b):
    build.emit("tanh", [build.pick(a)], bound=1.0)


@instruction
def bent(build, a, b):
    """The rectifiers, and other ops that keep a value's size and channels."""
    call = build.choose("relu", "elu", "sigmoid", "cube", "detach", "silent")
    a = build.pick(a)
    a = build.calm(a) if call == "cube" else a
    build.emit(call, [a], bound={"cube": 27.0, "sigmoid": 1.0}.get(call, known(build, a).bound))


@instruction
def prelu(build, a, b):
    a = build.pick(a)
    if build.choose(True, False):
        build.emit("prelu", [a], [build.weight(known(build, a).K)], bound=2 * known(build, a).bound)
    else:
        build.emit(build.attribute("layer", nn.PReLU(known(build, a).K, build.model.init)), [a])


@instruction
def gates(build, a, b):
    call, a = build.choose("gate", "linear_gate"), build.pick(a)
    K = known(build, a).K
    if K % 2:
        a = build.linear(a, K + 1)
    build.emit(call, [a], K=(K + 1) // 2, bound=1.0 if call == "gate" else known(build, a).bound)


@instruction
def concat_elu(build, a, b):
    a = build.pick(a, lambda value: value.size is not None and value.K <= WIDEST)
    if a is not None:
        build.emit("concat_elu", [a], K=2 * known(build, a).K)


@instruction
def concat(build, a, b):
    a = build.pick(a, lambda value: value.size is not None and value.K <= WIDEST)
    if a is None:
        return
    of = known(build, a)
    b = build.pick(b, lambda value: (value.size, value.images) == (of.size, of.images) and value.K <= WIDEST)
    build.emit("concat", [a, b], K=of.K + known(build, b).K, bound=max(of.bound, known(build, b).bound))


@instruction
def exp(build, a, b):
    build.emit("exp", [build.calm(build.pick(a), 2.0)], bound=8.0)


def positive(build, a):
    square = build.emit("power", [build.calm(a)], static={"exponent": 2}, bound=9.0)
    return build.emit("add", [square], [build.attribute("c", 0.5)], bound=9.5)


@instruction
def log(build, a, b):
    build.emit("log", [positive(build, build.pick(a))], bound=2.3)


@instruction
def power(build, a, b):
    exponent, a = build.choose(2, 3, 0.5, -1, -0.5, 1), build.pick(a)
    a = build.calm(a) if exponent in (1, 2, 3) else positive(build, a)
    build.emit("power", [a], static={"exponent": exponent}, bound=3.0 ** max(exponent, 1))


def binary(call):
    def together(build, a, b):
        """Two values, of which the second may be one for all pixels, for all channels, or for all images."""
        a = build.calm(build.pick(a))
        of = known(build, a)
        b = build.pick(b, lambda value: value.size in (None, of.size) and 1 in (value.K / of.K, value.K, of.K))
        if b is None:
            return
        b = build.calm(b)
        one, other = (a, b) if build.choose(True, False) else (b, a)
        largest = known(build, b).bound * of.bound if call == "multiply" else known(build, b).bound + of.bound
        whole = {"size": of.size, "moves": of.moves, "images": of.images or known(build, b).images}
        build.emit(call, [one, other], K=max(of.K, known(build, b).K), bound=largest, **whole)

    together.__name__ = call
    return instruction(together)


binary("add"), binary("multiply")


def shapes_beside(build, of):
    """Shapes of arrays that spread over a map."""
    H, W = of.size
    whole = (of.K,), (1,), (H, W, 1, of.K), (1, 1, 1, of.K), (H, W, 1, 1), (H, 1, 1, 1), (1, W, 1, of.K), ()
    return build.choose(*whole)


@instruction
def constant(build, a, b):
    """A number or an array that nobody learns, added or multiplied; on either side, in either precision."""
    call, a = build.choose("add", "multiply"), build.calm(build.pick(a))
    kind, shape = build.choose("float64", "float", "float32", "int"), shapes_beside(build, known(build, a))
    number = np.random.default_rng(len(build.steps)).standard_normal(shape)
    constants = {"float": 0.7, "int": -2}
    name = build.attribute("c", constants[kind] if kind in constants else np.asarray(number, kind))
    build.emit(call, [a], [name], bound=3 * known(build, a).bound)


@instruction
def learned(build, a, b):
    """A weight added or multiplied: a bias, a map, one number, also as it comes out of an op."""
    call, a = build.choose("add", "multiply"), build.calm(build.pick(a))
    of = known(build, a)
    weight = build.weight(*shapes_beside(build, of), fan_in=3)
    through = build.choose(None, "tanh", "sigmoid", "exp")
    if through is None:
        build.emit(call, [a], [weight], bound=2 * of.bound + 2)
        return
    b = build.emit(through, [], [weight], size=None, K=of.K, private=True)
    build.emit(call, [a, b], bound=3 * of.bound + 3)


@instruction
def learned_map(build, a, b):
    """A map that is learned, the same for all images, as a value like any other."""
    of = known(build, build.pick(a))
    K = build.choose(of.K, *WIDTHS)
    weights = [build.weight(*of.size, 1, K, fan_in=3), build.attribute("c", 0.0)]
    build.emit("add", [], weights, size=of.size, K=K, bound=2.0, images=False, moves=of.moves)


@instruction
def dropout(build, a, b):
    a = build.pick(a, lambda value: value.size is not None and value.images)
    rate = build.choose(0.5, 0.1, 0.0, 0.9)
    build.emit(build.attribute("layer", nn.Dropout(rate)), [a], ["rng"], bound=2 * known(build, a).bound)


# --- products ---------------------------------------------------------------------------------------------------------


def bias_of(build, K):
    return build.weight(K) if build.choose(True, False) else None


def a_mask(build, shape):
    """None, or a mask: at random, one that shuts everything, one tap alone, of numbers in place of booleans."""
    kind = build.choose(None, "random", "random", "shut", "tap", "numbers")
    if kind is None:
        return {}
    mask = np.random.default_rng(len(build.steps)).random(shape) < 0.6
    if kind == "shut":
        mask[:] = False
    if kind == "tap":
        mask[1:] = False
    return {"mask": mask.astype(np.uint8 if kind == "numbers" else bool)}


@instruction
def linear(build, a, b):
    a = build.pick(a, lambda value: True)
    K_in, K = known(build, a).K, build.choose(*WIDTHS)
    weights = [build.weight(K_in, K), bias_of(build, K)]
    build.emit("linear", [build.calm(a)], weights, a_mask(build, (K_in, K)), K=K, bound=5.0)


@instruction
def conv2d(build, a, b):
    a = build.calm(build.pick(a))
    of, K, (kh, kw) = known(build, a), build.choose(*WIDTHS), build.choose((3, 3), (1, 3), (2, 2), (1, 1), (3, 2))
    weights = [build.weight(kh, kw, of.K, K), bias_of(build, K)]
    static = a_mask(build, (kh, kw, of.K, K))
    stride, dilation = build.choose(1, 2, 3), build.choose(1, 2, 3)
    static |= {} if dilation == 1 else {"dilation": dilation}
    static |= {} if stride == 1 else {"stride": stride}
    centre = build.choose(None, (kh - 1, kw - 1), (0, 0), (kh, 0), (-1, kw))
    static |= {} if centre is None else {"centre": centre}
    H, W = of.size
    moves = of.moves if stride == 1 else (*of.moves, ("stride", stride, of.size))
    build.emit("conv2d", [a], weights, static, size=(-(-H // stride), -(-W // stride)), K=K, bound=5.0, moves=moves)


@instruction
def transposed_conv2d(build, a, b):
    """A map enlarged; or, where one of that size was made smaller, brought back."""
    a = build.calm(build.pick(a))
    of, K, (kh, kw) = known(build, a), build.choose(*WIDTHS), build.choose((2, 2), (3, 3), (1, 1), (2, 3))
    if of.moves and of.moves[-1][0] == "stride" and build.choose(True, True, False):
        *moves, (_, stride, size) = of.moves
    else:
        stride = build.choose(2, 1, 3)
        size = tuple(stride * side - build.choose(*range(stride)) for side in of.size)
        moves = [*of.moves, ("enlarge", stride, of.size)]
    if max(size) > LONGEST:
        return
    static = {"size": size, "stride": stride}
    centre = build.choose((0, 0), None, (kh - 1, kw - 1), (kh, -1))
    static |= {} if centre is None else {"centre": centre}
    weights = [build.weight(kh, kw, of.K, K), bias_of(build, K)]
    build.emit("transposed_conv2d", [a], weights, static, size=size, K=K, bound=5.0, moves=tuple(moves))


@instruction
def weight_norm(build, a, b):
    """A product whose weight is made by an op, or by two."""
    a = build.calm(build.pick(a))
    of, K = known(build, a), build.choose(*WIDTHS)
    v, gain = build.weight(of.K, K), build.weight(K)
    layer = nn.NormedPointwise(of.K, K, build.model.init)
    if build.choose(True, False):
        layer.v, layer.gain = getattr(build.model, v), getattr(build.model, gain)  # weights with two names
    build.emit(build.attribute("layer", layer), [a], K=K, bound=5.0)


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
    """The layers that have a compiled body today, among layers of other kinds."""
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
