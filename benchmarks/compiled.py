"""Compiled bodies of ops and layers beside what they stand for, forward and backward: the measurement that admits one.

Run: python benchmarks/compiled.py
Both take turns on the same data, one thread, float32, 4 images of 28x28; medians of 30 runs, after some that compile
and fill the arena.
"""

import time

import numpy as np
import threadpoolctl

import minipixel as mp
from minipixel import Tensor, arena, kernels, ops
from minipixel.tensor import gradients

RNG = np.random.default_rng(0)
PIXELS = 28, 28, 4
GREY, BINARY = (RNG.integers(0, levels, (*PIXELS, 1), np.uint8) for levels in (256, 2))


def numbers(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def of_op(name, *shapes, **static):
    """A call of an op on random numbers, and back."""
    inputs = [Tensor(numbers(*shape)) for shape in shapes]

    def call():
        y = getattr(ops, name)(*inputs, **static)
        gradients(y, inputs, y.data)

    return call


def of_residual():
    """PixelCNN++'s layer of 32 features that looks up, told a skip of 32, with dropout."""
    model = mp.models.PixelCNNpp((28, 28, 1), 256, filters=32)
    layer, maps, rng = model.level.way_back[0].u, [Tensor(numbers(*PIXELS, 32)) for _ in range(2)], RNG

    def call():
        y = layer(maps[0], (maps[1],), None, rng)
        gradients(y, [*maps, *layer.parameters()], y.data)

    return call


ROWS = {
    "elu, 32 channels": of_op("elu", (*PIXELS, 32)),
    "concat_elu, 32 channels": of_op("concat_elu", (*PIXELS, 32)),
    "linear_gate, 2 x 32 channels": of_op("linear_gate", (*PIXELS, 64)),
    "dropout, 64 channels": of_op("dropout", (*PIXELS, 64), keep=RNG.random((*PIXELS, 64)) < 0.5, rate=0.5),
    "weight_norm, 2x3, 64 -> 64": of_op("weight_norm", (2, 3, 64, 64), (64,)),
    "bernoulli_log_prob": of_op("bernoulli_log_prob", (*PIXELS, 1), images=BINARY),
    "categorical_log_prob, 256 levels": of_op("categorical_log_prob", (*PIXELS, 256), images=GREY),
    "logistic_mixture_log_prob of 5": of_op("logistic_mixture_log_prob", (*PIXELS, 15), images=GREY, levels=256),
    "gated_residual, 32 features": of_residual(),
}


def milliseconds(call):
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3


def compare(call, runs=30):
    """Milliseconds of a call as it is written and compiled, and the median of their ratios."""
    times = np.empty((runs + 3, 2))
    for run in times:
        with kernels.as_written():
            run[0] = milliseconds(call)
        run[1] = milliseconds(call)
    times = times[3:]
    return *np.median(times, axis=0), np.median(times[:, 0] / times[:, 1])


def main():
    print(f"{'':36}{'as written, ms':>16}{'compiled, ms':>14}{'ratio':>8}")
    with threadpoolctl.threadpool_limits(1), arena.arena():
        for name, call in ROWS.items():
            written, compiled, ratio = compare(call)
            print(f"{name:36}{written:16.2f}{compiled:14.2f}{ratio:8.1f}", flush=True)


if __name__ == "__main__":
    main()
