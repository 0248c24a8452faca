"""Every opcode alone: the walker and a GPU's kernels against the interpreter, all against the ops; adjoints, too.

Tables and their memory are made by hand (hand_tables.py); nothing here traces a model.
"""

import functools
import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest
from hand_on_device import walk as walk_on_device
from hand_tables import BUILD, Hand, Rows, agrees, assert_close, drawn

from minipixel import kernels, ops, stand_in
from minipixel.draws import sixteen_bits, threshold_of
from minipixel.kernels import cuda, opcodes
from minipixel.plan import interpreter
from minipixel.plan.value import READS_X, gate_order
from minipixel.stand_in.compiler import COMPILERS

needs_numba = pytest.mark.skipif(not kernels.numba_enabled(), reason="Numba is missing, or switched off")
needs_a_compiler = pytest.mark.skipif(not any(map(shutil.which, COMPILERS)), reason="there is no C++ compiler")
LIMITS = {"float64": 1e-12, "float32": 1e-5}
SHAPES = [(5,), (4, 4, 4), (1, 2, 3, 2, 1), (1,), (2, 6, 1)]
WIDTHS = [1, 3, 16, 17, 40]
WALKERS = ["interpreter", pytest.param("walker", marks=needs_numba), pytest.param("cuda", marks=needs_a_compiler)]


@functools.cache
def walker(name):
    if name == "interpreter":
        return interpreter.walk
    if name == "cuda":
        return functools.partial(walk_on_device, xp=stand_in.device)
    from minipixel.kernels.walker import walk

    return walk


def compare(hand, dtype, text):
    """The walker in that dtype, and the interpreter on the same numbers in float64; whether anything changed."""
    return agrees(hand, hand.seen(*hand.run(walker("walker"), dtype)), LIMITS[dtype], text)


def test_every_opcode_is_built():
    assert BUILD.keys() == opcodes.OPCODES.keys()
    assert interpreter.READS.keys() | interpreter.DOES.keys() == opcodes.OPCODES.keys()
    assert sorted(opcodes.OPCODES.values()) == list(range(len(opcodes.OPCODES)))


@needs_numba
@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("name", opcodes.OPCODES)
def test_the_walker_computes_what_the_interpreter_says(name, dtype):
    changed = []
    for shape, K, N in itertools.product(SHAPES, WIDTHS, (1, 2, 3)):
        hand = Hand(name, Rows(shape), N, np.random.default_rng((opcodes.OPCODES[name], K, N, *shape)))
        BUILD[name](hand, K)
        changed.append(compare(hand, dtype, f"{name}, rows {shape}, K = {K}, N = {N}"))
    assert np.mean(changed) > 0.7, "too few of the tables do anything"


@needs_a_compiler
@pytest.mark.parametrize("dtype", LIMITS)
def test_the_kernels_of_a_gpu_compute_what_the_interpreter_says(dtype):
    """Each opcode, and in these tables each kernel is launched that stands for one."""
    names = set()

    def walk(*table):
        names.update(walker("cuda")(*table))

    for name, number in opcodes.OPCODES.items():
        changed = []
        for (shape, K), N in itertools.product(zip(SHAPES, WIDTHS, strict=True), (1, 3)):
            hand = Hand(name, Rows(shape), N, np.random.default_rng((number, K, N)), whole=True)
            BUILD[name](hand, K)
            got = hand.seen(*hand.run(walk, dtype))
            changed.append(agrees(hand, got, LIMITS[dtype], f"{name}, rows {shape}, K = {K}, N = {N}"))
        assert np.mean(changed) > 0.6, name
    kernels_there = stand_in.compiler.described(cuda.source(), ("-DREAL=float", "--std=c++17"))
    beside = {"gather", "set_draw", "normalise", "normalise_x", "adam", "average"}  # see tests/cuda/test_weights.py
    assert kernels_there.keys() - names == beside


@needs_numba
@pytest.mark.parametrize("name", ["MATMUL", "MATMUL_W", "TAPS", "TAPS_X", "TAPS_W", "LAID", "LAID_W"])
def test_products_that_are_cut(name):
    """Of so many rows that BLAS is given them in blocks."""
    for seed in range(6):
        hand = Hand(name, Rows([250]), 3, np.random.default_rng(seed))
        BUILD[name](hand, 40)
        assert compare(hand, "float64", f"{name}, seed {seed}")


@needs_numba
def test_the_benchmark_times_every_opcode(monkeypatch):
    """And its tables compute what they are meant to, whatever it makes of the times."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    import opcodes as bench

    assert bench.BOUNDS.keys() == opcodes.OPCODES.keys()
    for name in opcodes.OPCODES:
        by_walker, by_interpreter = bench.Case(name, 16, 2), bench.Case(name, 16, 2)
        assert by_walker.seconds(walker("walker")) > 0 < by_interpreter.seconds(interpreter.walk)
        *_, got, _, got_g = by_walker.arrays
        *_, wanted, _, wanted_g = by_interpreter.arrays
        assert np.isfinite(wanted).all(), name
        if name not in ("LAID", "LAID_W"):  # these leave the taps that they laid side by side
            assert_close(got, wanted, 1e-4, name)
        np.testing.assert_allclose(got_g.sum(dtype=float), wanted_g.sum(dtype=float), rtol=1e-4, err_msg=name)
    assert bench.is_slow("TANH", [0.2, 0.2, 5.0], 0.1, 100) and not bench.is_slow("TANH", [0.2, 0.2, 0.3], 0.1, 100)
    assert bench.is_slow("TAPS", [5, 90, 10], 0.1, 100) and not bench.is_slow("TAPS", [5, 90, 90], 0.1, 100)


# --- functions of one pixel -------------------------------------------------------------------------------------------


def alone(name, *, weight=None, period=0, **operands):
    """An instruction of one step for two images, on these maps (pixels, 2, K); a number of channels is room for one."""
    hand = Hand(name, Rows([4]), 2, np.random.default_rng(0))
    for letter, array in operands.items():
        K = array if isinstance(array, int) else array.shape[2]
        hand.operand(letter, K, "nan" if isinstance(array, int) else array, ring=0)
    if weight is not None:
        hand.weight(weight, period)
    return hand


def after(hand, walk):
    """What stands in each operand after it was run, and what was added to the gradient of the weight."""
    work, _, grads = hand.run(walker(walk), "float64")
    return {letter: hand.place(letter, work) for letter in "ABCD" if letter in hand.line}, hand.gradient(grads)


def a_map(K, values="normal", seed=0):
    return drawn(np.random.default_rng(seed), values, 4 * 2 * K).reshape(4, 2, K)


def near(got, wanted):
    np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-12)


FUNCTIONS = {
    **{name: (name, {}) for name in ("RELU", "ELU", "TANH", "SIGMOID", "EXP", "LOG", "GELU")},
    **{name: (name, {}) for name in ("CONCAT_ELU", "GATE", "LINEAR_GATE", "PRELU")},
    "SCALE": ("MULTIPLY", {}),
    **{f"POWER {exponent}": ("POWER", {"exponent": exponent}) for exponent in (2, 3, 0.5, -1, -0.5, 1)},
}
"""By opcode: the op that it computes, and what is fixed of that."""


def test_every_function_of_one_map_has_its_op():
    others = {"MULTIPLY", "DROPOUT", "FACTORS", "PART", "SOFTMAX", "LAYER_NORM"}  # these have tests of their own
    first, last = opcodes.RELU, opcodes.DROPOUT
    pointwise = {name for name, number in opcodes.OPCODES.items() if first <= number <= last}
    assert {name.split()[0] for name in FUNCTIONS} == pointwise - others


@pytest.mark.parametrize("walk", WALKERS)
@pytest.mark.parametrize("case", FUNCTIONS)
@pytest.mark.parametrize("K", [1, 16, 17])
def test_a_function_is_its_op_and_its_adjoint_the_vjp(case, K, walk):
    of, fixed = FUNCTIONS[case]
    name, op = case.split()[0], getattr(ops, of.lower()).arrays
    x = a_map(2 * K if "GATE" in name else K, "positive" if name in ("LOG", "POWER") else "normal")
    slopes = [np.linspace(0.25, 1.5, K)] if name in ("PRELU", "SCALE") else []
    weight = slopes[0] if slopes else list(fixed.values()) or None
    period = K if slopes else 0
    y, vjp = op(x, *slopes, **fixed)
    maps, _ = after(alone(name, A=x, B=y.shape[2], weight=weight, period=period), walk)
    near(maps["B"], y)

    g = a_map(y.shape[2], seed=1)
    reads = maps["A"] if name.lower() in READS_X else y  # a gate has left its factors there
    another_width = {"C": x.shape[2]} if "GATE" in name or name == "CONCAT_ELU" else {}
    hand = alone(f"{name}_X", A=g, B=reads, **another_width, weight=weight, period=period)
    maps, weight_g = after(hand, walk)
    wanted = [part() if callable(part) else part for part in vjp(g)]
    near(maps["C" if another_width else "A"], wanted[0])
    if slopes:
        near(weight_g, wanted[1])


@pytest.mark.parametrize("walk", WALKERS)
@pytest.mark.parametrize(("K", "colours"), [(1, 1), (16, 1), (17, 1), (15, 3), (4, 4)])
@pytest.mark.parametrize("name", ["SOFTMAX", "LAYER_NORM"])
def test_what_reads_all_channels_of_a_colour_is_its_op(name, K, colours, walk):
    x, g, epsilon = a_map(K), a_map(K, seed=1), {} if name == "SOFTMAX" else {"epsilon": 0.25}
    op, wholes = getattr(ops, name.lower()).arrays, [] if name == "SOFTMAX" else [None, None]
    y, vjp = op(x, *wholes, colours=colours, **epsilon)
    there = alone(name, A=x, B=K, weight=list(epsilon.values()) or None)
    there.line["L"] = colours
    near(after(there, walk)[0]["B"], y)
    back = alone(f"{name}_X", A=g, B=y if name == "SOFTMAX" else x, weight=list(epsilon.values()) or None)
    back.line["L"] = colours
    (wanted, *_) = (part() if callable(part) else part for part in vjp(g)[:1])
    near(after(back, walk)[0]["A"], wanted)


@pytest.mark.parametrize("walk", WALKERS)
def test_functions_of_several_maps(walk):
    """Products of maps, maps side by side, biases, and a gate once more from its factors."""
    x, z, bias = a_map(6), a_map(6, seed=1), np.linspace(-1, 1, 6)
    near(after(alone("MULTIPLY", A=x, C=z, B=6), walk)[0]["B"], x * z)
    near(after(alone("ADDROW", A=x, B=z), walk)[0]["B"], x + z)
    near(after(alone("ADDBIAS", A=x, B=6, weight=bias, period=6), walk)[0]["B"], x + bias)
    near(after(alone("BIASRELU", B=x, weight=bias, period=6), walk)[0]["B"], np.maximum(x + bias, 0))
    near(after(alone("FILL", B=6, weight=bias, period=6), walk)[0]["B"], bias + np.zeros_like(x))
    near(after(alone("ZERO", B=6), walk)[0]["B"], np.zeros_like(x))
    maps, _ = after(alone("GATE", A=x, B=3), walk)
    near(after(alone("FACTORS", A=maps["A"], B=3), walk)[0]["B"], maps["B"])
    hand = alone("PART", A=z, B=np.concatenate([x, x], axis=2))
    hand.line["X"] = 6
    near(after(hand, walk)[0]["B"], ops.concat.arrays(x, z)[0])
    maps, sums = after(alone("RELU_X", A=x, B=z, weight=np.zeros(6), period=6), walk)
    near(maps["A"], x * (z > 0))
    near(sums, (x * (z > 0)).sum(axis=(0, 1)))


@pytest.mark.parametrize("walk", WALKERS)
@pytest.mark.parametrize("K", [1, 8, 17])
@pytest.mark.parametrize("rate", [0.0, 0.5, 0.9])
def test_dropout_is_the_op_with_the_same_draws(K, rate, walk):
    hand, threshold = alone("DROPOUT", A=a_map(K), B=K, weight=[1 / (1 - rate)]), threshold_of(rate)
    hand.line |= {"X": 3, "T": threshold}
    key, first = hand.draw
    keep = sixteen_bits(4, 2, K, first=first, layer=3, key=key) >= threshold
    near(after(hand, walk)[0]["B"], ops.dropout.arrays(a_map(K), keep=keep, rate=rate)[0])


# --- adjoints ---------------------------------------------------------------------------------------------------------


def inner(a, b):
    return float(np.sum(a * b))


def turned(weight):
    return np.ascontiguousarray(weight.swapaxes(-1, -2))


@pytest.mark.parametrize("walk", WALKERS)
@pytest.mark.parametrize(("K", "L"), [(1, 1), (3, 5), (16, 40), (17, 3)])
def test_products_and_their_ways_back(K, L, walk):
    """<x W, y> = <x, y W'> = <W, x' y>."""
    x, y, weight = a_map(K), a_map(L, seed=1), drawn(np.random.default_rng(2), "normal", K * L).reshape(K, L)
    there = inner(after(alone("MATMUL", A=x, B=L, weight=weight), walk)[0]["B"], y)
    near(inner(x, after(alone("MATMUL", A=y, B=K, weight=turned(weight)), walk)[0]["B"]), there)
    near(inner(weight.ravel(), after(alone("MATMUL_W", A=x, B=y, weight=weight), walk)[1]), there)


def adjoint_pair(name, seed, walk, **numbers):
    """An instruction with runs, and random numbers for what it reads and for the gradient of what it writes."""
    rows, whole = Rows(SHAPES[seed % len(SHAPES)]), walk == "cuda"
    hand = Hand(name, rows, 1 + seed % 3, np.random.default_rng(seed), whole)
    BUILD[name](hand, WIDTHS[seed % 4])
    hand.line |= numbers
    sizes = (hand.zones[letter].stop - hand.zones[letter].start for letter in "AB")
    return hand, *(drawn(hand.rng, "normal", size) for size in sizes)


def zone(hand, letter, walk):
    return hand.run(walker(walk), "float64")[0][hand.zones[letter]]


@pytest.mark.parametrize("walk", WALKERS)
@pytest.mark.parametrize("name", ["TAPS", "LAID"])
@pytest.mark.parametrize("seed", range(20))
def test_taps_and_their_ways_back(name, seed, walk):
    """The same three for what taps see, by the same runs."""
    hand, x, y = adjoint_pair(name, seed, walk)
    weight = hand.weights[1]
    there = inner(zone(hand.turned_into(name, A=x, B=0 * y), "B", walk), y)
    across = turned(weight.reshape(hand.line["T"], hand.line["A"][3], -1))
    near(inner(x, zone(hand.turned_into("TAPS_X", across, A=0 * x, B=y), "A", walk)), there)
    back = hand.turned_into(f"{name}_W", A=x, B=y)
    near(inner(weight, back.gradient(back.run(walker(walk), "float64")[2])), there)


@pytest.mark.parametrize("walk", WALKERS)
@pytest.mark.parametrize("seed", range(20))
def test_moves_and_their_ways_back(seed, walk):
    hand, x, y = adjoint_pair("MOVE", seed, walk, FLAG=1)
    there = inner(zone(hand.turned_into("MOVE", A=x, B=0 * y), "B", walk), y)
    near(inner(x, zone(hand.turned_into("MOVE_X", A=0 * x, B=y), "A", walk)), there)


@pytest.mark.parametrize("walk", WALKERS)
def test_parts_and_biases_and_their_ways_back(walk):
    bias, x, y = np.linspace(-1, 1, 6), a_map(4, seed=1), a_map(6)
    there = inner(after(alone("FILL", B=6, weight=bias, period=6), walk)[0]["B"], y)
    near(inner(bias, after(alone("SUMS", B=y, weight=bias, period=6), walk)[1]), there)
    part, back, adding = (
        alone("PART", A=x, B=np.zeros((4, 2, 6))),
        alone("PART_X", A=y, B=4),
        alone("PART_X", A=y, B=x),
    )
    for hand in (part, back, adding):
        hand.line["X"] = 2
    adding.line["FLAG"] = 1
    to_x = after(back, walk)[0]["B"]
    near(inner(x, to_x), inner(after(part, walk)[0]["B"], y))
    near(after(adding, walk)[0]["B"], x + to_x)


@pytest.mark.parametrize("walk", WALKERS)
@pytest.mark.parametrize("K", [1, 3, 16, 17, 40])
def test_cells_are_the_scan_and_its_vjp(K, walk):
    """Three rows of four cells, each of which follows the one above it; the first row a start state that is learned."""
    N, steps, W = 2, 3, 4
    rng, order = np.random.default_rng(K), gate_order(K)
    z, c0 = rng.standard_normal((steps, W, N, 4 * K)), rng.standard_normal(K)
    h, vjp = ops.lstm_scan.arrays(z, np.zeros((1, K, 4 * K)), None, c0, taps=(0,))
    rows = Rows([W] * steps)
    above = [(0, 0, 1, r - 1, 0, rows.slots if r == 0 else rows.start[r - 1], 1, W) for r in range(steps)]

    def scan(name, gates, c, **others):
        hand = Hand(name, rows, N, np.random.default_rng(0))
        hand.lead, hand.back, hand.line["LEAD"] = 0, name == "CELLS_X", 0
        hand.operand("A", 4 * K, gates, ring=0)
        hand.operand("B", K, c, ring=0, extra=W)
        for letter, (width, numbers) in others.items():
            if letter == "X":
                hand.line["X"] = hand.zone("X", width, numbers)
            else:
                hand.operand(letter, width, numbers, ring=0)
        hand.runs, hand.at = np.array(above), np.arange(steps + 1)
        return hand

    c = np.concatenate([np.full((rows.slots, N, K), np.nan), np.broadcast_to(c0, (W, N, K))])
    hand = scan("CELLS", z[..., order], c, X=((rows.slots + W) * K, "nan"))
    work = hand.run(walker(walk), "float64")[0]
    near(work[hand.zones["X"]][: h.size], h.ravel())

    g, zeros = rng.standard_normal(h.shape), np.zeros((W, N, K))
    given = {"C": (4 * K, "nan"), "D": (K, g), "X": (W * K, zeros)}
    back = scan("CELLS_X", work[hand.zones["A"]], work[hand.zones["B"]], **given)
    back.line["FLAG"] = 1
    back.weight(np.zeros(K), K)
    work, _, grads = back.run(walker(walk), "float64")
    z_g, _, _, c0_g = (part() if callable(part) else part for part in vjp(g))
    near(back.place("C", work).reshape(z.shape), z_g[..., order])
    near(back.gradient(grads), c0_g)
    near(work[back.zones["X"]], zeros.ravel())
