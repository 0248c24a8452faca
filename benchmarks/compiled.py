"""Compiled bodies of the heads' ops against what is written: the measurement that admits a body.

Run: python benchmarks/compiled.py
Forward and backward of one shard, as training cuts it: 28x28, float32, one thread, in an arena. Both take turns;
medians of 15 runs, after a warm-up that compiles.
"""

import contextlib
import sys
import time

import numpy as np
import threadpoolctl

from minipixel import arena, kernels, ops
from minipixel.kernels import COMPILED
from minipixel.tensor import Tensor, gradients

SIDE = 28


def noise(*shape):
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def of_op(op, *shapes, **static):
    """An op on random inputs of these shapes, and its gradients."""
    inputs = [Tensor(noise(*shape)) for shape in shapes]
    seed = noise(*op(*inputs, **static).shape)
    return lambda: gradients(op(*inputs, **static), inputs, seed)


def image(levels, N=8, C=1):
    return np.random.default_rng(0).integers(0, levels, (SIDE, SIDE, N, C), dtype=np.uint8)


def wide(N, K):
    return SIDE, SIDE, N, K


def mixture(C, M=5):
    """Of C channels, which have 1 + 2 C + C (C-1) / 2 rows of parameters."""
    rows = 1 + 2 * C + C * (C - 1) // 2
    return of_op(ops.logistic_mixture_log_prob, wide(8, rows * M), images=image(256, C=C), levels=256)


CASES = {  # by the name of the op, and what else is special about a case
    "bernoulli_log_prob": lambda: of_op(ops.bernoulli_log_prob, wide(8, 1), images=image(2)),
    "categorical_log_prob": lambda: of_op(ops.categorical_log_prob, wide(8, 256), images=image(256)),
    "logistic_mixture_log_prob": lambda: mixture(1),
    "logistic_mixture_log_prob of 3 channels": lambda: mixture(3),
    "logistic_mixture_log_prob of 8 channels": lambda: mixture(8),
}


@contextlib.contextmanager
def without(name):
    """Within this block a body is not there."""
    lookup = kernels.compiled
    kernels.compiled = lambda asked, inputs: None if asked == name else lookup(asked, inputs)
    try:
        yield
    finally:
        kernels.compiled = lookup


def in_turns(name, run, runs):
    """What `run` gives as written and compiled, in turns; the first of each, which compiles, left out."""
    written, compiled = [], []
    for _ in range(runs + 1):
        with without(name):
            written.append(run())
        compiled.append(run())
    return np.array(written[1:]), np.array(compiled[1:])


def milliseconds(run):
    start = time.perf_counter()
    run()
    return 1e3 * (time.perf_counter() - start)


def main():
    missing = set(COMPILED) - {case.partition(" ")[0] for case in CASES}
    if missing:
        sys.exit(f"compiled: got no case for {', '.join(sorted(missing))}, wanted one for each row of the table")
    print(f"{'':40}{'written ms':>12}{'compiled ms':>13}{'ratio':>8}")
    with threadpoolctl.threadpool_limits(1), arena.arena():
        for name, make in CASES.items():
            case = make()
            written, compiled = in_turns(name.partition(" ")[0], lambda case=case: milliseconds(case), 15)
            ratio = np.median(written / compiled)
            print(f"{name:40}{np.median(written):12.2f}{np.median(compiled):13.2f}{ratio:8.1f}", flush=True)


if __name__ == "__main__":
    main()
