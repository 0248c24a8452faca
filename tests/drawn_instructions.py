"""The instructions of drawn_graphs: one function each, from a builder and two operands to steps.

Here those of what happens at one pixel, and of products; those of moves, scans and whole layers are in drawn_layers.
One for every op that a forward pass can use, and for every kind of layer; a test compares the two lists.
"""

import numpy as np

from minipixel import nn

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
    call = build.choose("relu", "elu", "sigmoid", "cube", "detach", "silent", "gelu")
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
def across(build, a, b):
    """What reads all channels of a pixel, or those of a colour: with and without a gain, a bias, another epsilon."""
    a, call = build.pick(a), build.choose("softmax", "layer_norm")
    K = known(build, a).K
    static = {"colours": build.choose(*[colours for colours in (1, 2, 3, K) if K % colours == 0])}
    if call == "softmax":
        build.emit("softmax", [a], static=static, bound=1.0)
        return
    static |= build.choose({"epsilon": 0.1}, {"epsilon": 0.01})
    weights = [build.weight(K) if build.choose(True, False) else None for _ in range(2)]
    build.emit("layer_norm", [a], weights, static, bound=5.0)


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
