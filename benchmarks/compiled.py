"""Compiled bodies of ops and layers against what is written: the measurement that admits a body.

Run: python benchmarks/compiled.py
Forward and backward of one shard, as training cuts it: 28x28, float32, one thread, in an arena. Both take turns;
medians of 15 runs, after a warm-up that compiles. A layer is timed in a whole model, with its body and without: without
it the ops inside the layer still have theirs, so that the ratio is what the body adds to those.

Below, for layers, steps of `mp.fit` with a worker a core, as benchmarks/training.py times them: workers share an
interpreter, and a body in one call leaves more of it to the others.
"""

import contextlib
import sys
import time

import numpy as np
import threadpoolctl
import training_models

import minipixel as mp
from minipixel import arena, kernels, models, ops
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


def of_model(kind, N, levels=2, rng=None, **options):
    """A step of a model, all but the optimiser's."""
    model = kind((SIDE, SIDE, 1), levels, **options)
    images = np.random.default_rng(0).integers(0, levels, (N, SIDE, SIDE, 1), dtype=np.uint8)
    if not model.initialized:
        model.initialize(images)
    return lambda: gradients(model.loss(images, rng=rng), model.parameters())


def image(levels, N=8):
    return np.random.default_rng(0).integers(0, levels, (SIDE, SIDE, N, 1), dtype=np.uint8)


def wide(N, K):
    return SIDE, SIDE, N, K


CASES = {
    "linear": lambda: of_op(ops.linear, wide(8, 32), (32, 32), (32,)),
    "conv2d": lambda: of_op(ops.conv2d, wide(8, 16), (3, 3, 16, 16), (16,), centre=(2, 1)),
    "transposed_conv2d": lambda: of_op(
        ops.transposed_conv2d, (14, 14, 8, 32), (2, 3, 32, 32), (32,), size=(SIDE, SIDE), stride=2, centre=(0, 1)
    ),
    "concat_elu": lambda: of_op(ops.concat_elu, wide(8, 32)),
    "gate": lambda: of_op(ops.gate, wide(8, 64)),
    "linear_gate": lambda: of_op(ops.linear_gate, wide(8, 64)),
    "dropout": lambda: of_op(ops.dropout, wide(8, 64), keep=noise(*wide(8, 64)) > 0, rate=0.5),
    "weight_norm": lambda: of_op(ops.weight_norm, (2, 3, 64, 64), (64,)),
    "lstm_scan": lambda: of_op(ops.lstm_scan, wide(8, 64), (3, 16, 64), (16,), (16,), taps=(-1, 0, 1)),
    "bernoulli_log_prob": lambda: of_op(ops.bernoulli_log_prob, wide(8, 1), images=image(2)),
    "categorical_log_prob": lambda: of_op(ops.categorical_log_prob, wide(8, 256), images=image(256)),
    "logistic_mixture_log_prob": lambda: of_op(
        ops.logistic_mixture_log_prob, wide(8, 15), images=image(256), levels=256
    ),
    "residual_blocks": lambda: of_model(models.PixelCNN, 8, hidden=16, blocks=7),
    "top": lambda: of_model(models.PixelCNN, 8, hidden=16, blocks=1),
    "gated_stacks": lambda: of_model(models.GatedPixelCNN, 8, filters=32, layers=7),
    "row_layer": lambda: of_model(models.RowLSTM, 8, hidden=16, layers=7),
    "diagonal_layer": lambda: of_model(models.DiagonalBiLSTM, 8, hidden=16, layers=7),
    "gated_residual": lambda: of_model(models.PixelCNNpp, 4, 256, 0, filters=32, resnets=2, hierarchies=2),
}


OF_STEPS = {  # layers, and the row of benchmarks/training.py that has them
    "residual_blocks": "pixelcnn-h16",
    "top": "pixelcnn-h16",
    "gated_stacks": "gated",
    "row_layer": "row-lstm",
    "diagonal_layer": "diagonal-bilstm",
    "gated_residual": "pixelcnnpp",
}


@contextlib.contextmanager
def without(name):
    """Within this block a body is not there; the ops inside a layer still have theirs."""
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


def steps(row):
    """What gives the median milliseconds of three steps of a model through `mp.fit`."""
    model, optimizer, batch = training_models.ours(row), mp.optim.Adam(), training_models.ROWS[row][2]
    images = training_models.noise(row, 3 * batch)
    return lambda: 1e3 * np.median(training_models.fit(model, images, batch, optimizer))


def main():
    missing = set(COMPILED) - set(CASES)
    if missing:
        sys.exit(f"compiled: got no case for {', '.join(sorted(missing))}, wanted one for each row of the table")
    print(f"{'':28}{'written ms':>12}{'compiled ms':>13}{'ratio':>8}")
    with threadpoolctl.threadpool_limits(1), arena.arena():
        for name in COMPILED:
            case = CASES[name]()
            written, compiled = in_turns(name, lambda case=case: milliseconds(case), 15)
            ratio = np.median(written / compiled)
            print(f"{name:28}{np.median(written):12.2f}{np.median(compiled):13.2f}{ratio:8.1f}", flush=True)
    print(f"\n{'a step':28}{'without ms':>12}{'with ms':>13}{'shorter':>9}")
    for name, row in OF_STEPS.items():
        written, compiled = (np.median(times) for times in in_turns(name, steps(row), 5))
        print(f"{name:28}{written:12.1f}{compiled:13.1f}{1 - compiled / written:9.0%}", flush=True)


if __name__ == "__main__":
    main()
