"""The floor under the time of a training step: the products that no program can leave out, at the machine's best rate.

Run: python benchmarks/training_floor.py        GFLOP of each step, the machine's peak, and the floor

A product counts for every open weight and every pixel that it meets; a tap that looks past the border, where all is
zero, does not, nor does a channel that a mask shuts. The way back has two such products for each of them, one for the
gradient of the weight and one for that of the input, and only the first where no weight stands before that input.
Everything else, gates and losses and sums, counts for nothing: so this is a floor, not an estimate.
"""

import time

import numpy as np
from training_models import ROWS, ours

from minipixel.clock import Trace
from minipixel.shards import Workers

SCANS = {"lstm_scan": 4}  # how many numbers a state's channel tells each channel of the next one


def flop(model, more=0):
    """Floating-point operations of a step, for each image: two a multiplication and addition.

    `more`: how many more products of feature maps than weights it has, where these are tied, or meet a condition.
    """
    forward = backward = products = 0
    learned = set()  # the nodes that a weight stands before, or in
    for node in Trace(model).nodes:
        if any(source in learned for source, _ in node.reads):
            learned.add(node)
        if node.local is not None and node.local.kind == "linear":
            ((source, look),) = node.reads
            taps = look.channels.reshape(look.index.shape[1], -1).sum(axis=1)  # open weights of each
            count = int((look.index >= 0).sum(axis=0) @ taps)
            forward, backward = forward + count, backward + count * (2 if source in learned else 1)
        elif node.local is not None and node.local.kind in SCANS:
            own = node.local.own
            met = int((own.index[own.inside] >= 0).sum())
            count = met * SCANS[node.local.kind] * node.K * node.K
            forward, backward = forward + count, backward + 2 * count
        else:
            continue
        learned.add(node)
        products += 1
    weights = sum(parameter.data.ndim > 1 for parameter in model.parameters())
    if products != weights + more:
        raise ValueError(f"flop: got {products} products, wanted {weights + more}, one for each weight of the model")
    return 2 * (forward + backward)


def sgemm_peak(side=2048, runs=8):
    """FLOP a second of float32 products with every core at work, one BLAS thread each: the best of some runs.

    Squares of 2048 come within a few per cent of the best that any shape gives.
    """
    rng = np.random.default_rng(0)
    with Workers() as workers:
        a, b = rng.random((2, workers.count, side, side), dtype=np.float32)
        out = np.empty_like(a)

        def multiply(part):
            np.matmul(a[part], b[part], out=out[part])

        times = []
        for _ in range(runs):
            start = time.perf_counter()
            list(workers.map(multiply, workers.count, 1))
            times.append(time.perf_counter() - start)
    return workers.count * 2 * side**3 / min(times)


def main():
    peak = sgemm_peak()
    print(f"peak {peak / 1e9:.0f} GFLOP/s")
    for row, (_, _, batch, _) in ROWS.items():
        work = flop(ours(row)) * batch
        print(f"{row:16}{work / 1e9:8.2f} GFLOP{1e3 * work / peak:8.1f} ms", flush=True)


if __name__ == "__main__":
    main()
