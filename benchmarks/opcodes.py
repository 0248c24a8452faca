"""What each opcode of the plan takes, alone: a loop that lost its vectors without anybody noticing shows here.

Run: python benchmarks/opcodes.py            a table: nanoseconds a number, or GFLOP/s of products, at three widths
     python benchmarks/opcodes.py --check    the same; exit status 1 if an opcode is slower than BOUNDS allow

One instruction walks down some rows, which stand in the nearest caches as they do in a step of training, in float32,
with one thread; the fastest of many short runs counts, since other work on the machine makes a run longer and never
shorter. Numbers are those of the widest map that it touches. Bounds are in units that the same run has measured: of
functions the time that NumPy takes to copy so many numbers, of products the rate of NumPy's largest products. Beside
them stands what the NumPy interpreter takes for the same instruction.
"""

import argparse
import sys
import time

import numpy as np
import threadpoolctl

from minipixel.kernels import opcodes, walker
from minipixel.kernels.opcodes import OPCODES
from minipixel.plan import interpreter

STEPS, CHANNELS, PIXELS, N = 128, (16, 32, 96), 28, 8
NUMBERS = 3584  # of a row of functions: 14 KiB
TAPS = {"TAPS": 5, "TAPS_X": 5, "TAPS_W": 5, "LAID": 24, "LAID_W": 24}  # the open ones of 3x3 and of 7x7
LEVELS = 128  # of the codes that are looked up
PRODUCTS = ("MATMUL", "MATMUL_W", *TAPS)

COPIES, LIGHT, EXPONENTIALS = 4, 8, 30
BOUNDS = {
    **dict.fromkeys(
        ("ZERO", "FILL", "ADDBIAS", "BIASRELU", "MOVE", "ADDROW", "SUMS", "MOVE_X", "PART", "PART_X"), COPIES
    ),
    **dict.fromkeys(("RELU", "RELU_X", "TANH_X", "SIGMOID_X", "EXP_X", "SCALE", "MULTIPLY", "FACTORS"), COPIES),
    **dict.fromkeys(("PRELU", "PRELU_X", "SCALE_X", "LOG_X", "GATE_X", "LOOKUP", "LOOKUP_W"), LIGHT),
    **dict.fromkeys(
        ("ELU", "CONCAT_ELU", "GATE", "LINEAR_GATE", "TANH", "SIGMOID", "EXP", "LOG", "GELU"), EXPONENTIALS
    ),
    **dict.fromkeys(("GELU_X", "SOFTMAX", "SOFTMAX_X", "LAYER_NORM", "LAYER_NORM_X"), EXPONENTIALS),
    **dict.fromkeys(("ELU_X", "CONCAT_ELU_X", "LINEAR_GATE_X", "CELLS", "CELLS_X", "DROPOUT"), EXPONENTIALS),
    **dict.fromkeys(("POWER", "POWER_X"), 1000),  # the C library's pow, number by number
    **dict.fromkeys(("MATMUL", "MATMUL_W", "TAPS", "TAPS_X", "TAPS_W"), 0.2),
    **dict.fromkeys(("LAID", "LAID_W"), 0.05),  # what is laid side by side is laid number by number
}
"""By opcode: how many times as long as a copy its numbers may take; of products, the share of the largest rate due."""

ONE_MAP = {"A": 1, "B": 1}
MAPS = {
    **{name: {"B": 1} for name in ("ZERO", "FILL", "BIASRELU", "SUMS")},
    **{name: {"A": 2, "B": 1} for name in ("GATE", "LINEAR_GATE", "FACTORS", "PART_X")},
    **{name: {"A": 1, "B": 2} for name in ("CONCAT_ELU", "PART")},
    **{name: {"A": 1, "B": 2, "C": 2} for name in ("GATE_X", "LINEAR_GATE_X")},
    **{"CONCAT_ELU_X": {"A": 2, "B": 1, "C": 1}, "MULTIPLY": {"A": 1, "B": 1, "C": 1}},
    **{"CELLS": {"A": 4, "B": 1}, "CELLS_X": {"A": 4, "B": 1, "C": 4, "D": 1}},
}
"""The operands and their channels, in units of K, where these are not ONE_MAP."""

CONSTANT = {
    **{"TANH_X": 0, "SIGMOID_X": (1 + 5**0.5) / 2, "EXP_X": 1, "LOG_X": 1, "POWER_X": 0.5, "ELU_X": 1},
    **{"POWER": 0.5, "LOG": 0.5, "CELLS_X": 0.5},
}
"""What operands hold where random numbers will not do: a gradient would fade row by row until it is denormal."""


class Case:
    """An instruction, K channels wide, that walks down some rows of memory of its own."""

    def __init__(self, name, K, steps=STEPS):
        rng = np.random.default_rng(0)
        product, scan = name in PRODUCTS, name in ("CELLS", "CELLS_X")
        steps = min(steps, 8 if product else PIXELS if scan else steps)
        widths = {letter: units * K for letter, units in MAPS.get(name, ONE_MAP).items()}
        if name in ("LAID", "LAID_W", "LOOKUP", "LOOKUP_W"):
            widths["A"] = 1
        pixels = PIXELS if product else max(1, NUMBERS // (N * max(widths.values())))
        taps, slots = TAPS.get(name, 1), steps * pixels
        line = {"OP": OPCODES[name], "T": taps, "L": max(1, 128 // K) * K}
        size, zones = 0, []
        for letter, width in widths.items():
            ring = 0 if scan and letter == "B" else 1  # kept cells stand in a map
            line[letter] = size, ring, pixels, width
            zones.append((letter, size))
            size += width * (pixels if ring else slots + pixels)
        if name.startswith("LOOKUP"):
            line["L"] = LEVELS
        if name.startswith(("SOFTMAX", "LAYER_NORM")):
            line["L"] = 1  # colour
        if name == "DROPOUT":
            line |= {"X": 1, "T": 2**15}
        if scan:
            line["X"] = size
            size += K * (slots + pixels)
        rooms = [size, size + pixels * K, size + 2 * pixels * K]
        size += (2 + taps) * pixels * K
        work = rng.standard_normal(size * N, dtype=np.float32)
        for letter, at in zones:
            if name in CONSTANT and (letter == "B" or not name.endswith("_X") or scan):
                work[at * N : (at + pixels * widths[letter]) * N] = CONSTANT[name]
            if name.startswith("LOOKUP") and letter == "A":
                codes = work[at * N : (at + pixels) * N]
                codes[:] = rng.integers(0, LEVELS, codes.shape)
        table = np.zeros((1, opcodes.COLUMNS), np.int64)
        for column, numbers in line.items():
            at = getattr(opcodes, column)
            table[0, at : at + np.size(numbers)] = numbers
        weights = np.ones(max(taps * K * K, LEVELS * K if name.startswith("LOOKUP") else line["L"]), np.float32)
        if name.startswith("POWER"):
            weights[:] = 2
        runs = [
            (0, 0, 1, -1 if r == 0 else r - 1, 0, slots if r == 0 else (r - 1) * pixels, 1, pixels)
            if scan
            else (tap, 0, 1, r, 0, r * pixels, 1, pixels)
            for r in range(steps)
            for tap in range(taps)
        ]
        back = name.endswith(("_X", "_W"))
        arrays = [[(0, 1, steps, 0, back)], np.arange(steps + 1) * pixels, runs, np.arange(steps + 1) * taps, rooms]
        self.arrays = [table, *[np.array(array, np.int64) for array in arrays], work, weights, weights.copy()]
        self.numbers = steps * pixels * N * max(widths.values())
        self.flop = 2 * steps * pixels * N * taps * widths.get("A", 0) * widths["B"] if product else 0

    def seconds(self, walk):
        draw = np.zeros(2, np.uint32), 0
        start = time.perf_counter()
        walk(*self.arrays, N, draw)
        return time.perf_counter() - start

    def figure(self, seconds):
        """Nanoseconds a number, or of products GFLOP/s."""
        return self.flop / seconds / 1e9 if self.flop else 1e9 * seconds / self.numbers


def copying(rows=4):
    """Nanoseconds a number of a copy of some rows, so long that NumPy's call is no part of it worth mentioning."""
    source, target = np.ones((2, rows * NUMBERS), np.float32)
    start = time.perf_counter()
    for _ in range(STEPS // rows):
        np.copyto(target, source)
    return 1e9 * (time.perf_counter() - start) / NUMBERS / STEPS


def multiplying(side=512):
    """GFLOP/s of a large product."""
    a, b, y = np.ones((3, side, side), np.float32)
    start = time.perf_counter()
    np.matmul(a, b, out=y)
    return 2 * side**3 / (time.perf_counter() - start) / 1e9


def is_slow(name, figures, copy, peak):
    """Whether an opcode is out of bounds at any width; products of 16 channels are too small to tell."""
    if name in PRODUCTS:
        return min(figures[1:]) < BOUNDS[name] * peak
    return max(figures) > BOUNDS[name] * copy


def main():
    parser = argparse.ArgumentParser(description="Every opcode of the plan, alone.")
    parser.add_argument("--only", nargs="+", choices=OPCODES, default=list(OPCODES), metavar="opcode")
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--check", action="store_true", help="exit status 1 if an opcode is out of bounds")
    options = parser.parse_args()
    slow = []
    with threadpoolctl.threadpool_limits(1):
        copy, peak = min(copying() for _ in range(50)), max(multiplying() for _ in range(15))
        print(f"a copy takes {copy:.3f} ns per number, large products reach {peak:.0f} GFLOP/s")
        print(f"{'K':15}" + "".join(f"{K:>9}" for K in CHANNELS) + f"{'interpreted':>13}{'bound':>9}", flush=True)
        for name in options.only:
            figures = []
            for K in CHANNELS:
                case = Case(name, K)
                figures.append(case.figure(min(case.seconds(walker.walk) for _ in range(options.runs))))
            case = Case(name, CHANNELS[1], 8)
            interpreted = case.figure(min(case.seconds(interpreter.walk) for _ in range(3)))
            bound, unit = (peak, "GFLOP/s") if case.flop else (copy, "ns")
            text = "".join(f"{figure:9.2f}" for figure in figures)
            mark = "  SLOW" if is_slow(name, figures, copy, peak) else ""
            print(f"{name:15}{text}{interpreted:13.2f}{BOUNDS[name] * bound:9.2f} {unit}{mark}", flush=True)
            slow += [name] if mark else []
    if options.check and slow:
        sys.exit(f"opcodes: got {', '.join(slow)} slower than their bounds, wanted none; see BOUNDS")


if __name__ == "__main__":
    main()
