"""Which instructions of its table a training step spends its time in, each walked alone.

Run: python benchmarks/training.py --profile MODEL

A step of `mp.fit` with one worker is timed as it is. Then each instruction of the model's table is walked by itself,
all its rows, for one shard, and its best time is taken as often as there are shards. Alone an instruction finds other
things in the cache than among its neighbours; and what a step takes besides, for the head, sums, the optimizer and
Python, is in the time of the step alone.
"""

import collections
import time

import numpy as np
from training_models import ROWS, fit, noise, ours

import minipixel as mp
from minipixel import plan
from minipixel.computing import computing
from minipixel.draws import Draws
from minipixel.kernels.walker import walk

RUNS = 3


def profile(row, steps=3, side=28, batch=None):
    """Milliseconds of a step, and {opcode: (instructions, ms there, ms back)}, each walked alone, of all its shards."""
    model, batch = ours(row, side), batch or ROWS[row][2]
    images = noise(row, steps * batch, side)
    fit(model, images, batch, mp.optim.Adam(), workers=1)  # compiles
    alone = np.median(fit(model, images, batch, mp.optim.Adam(), workers=1))
    N = min(batch, model.shard_of_batch(batch))
    draws = Draws((0, 0))
    able = plan.ready(model, N, back=True, rng=draws)
    run = able.run(model.scaled(model._pixels_first(images[:N])), None, draws)
    found = collections.defaultdict(lambda: [0, 0.0, 0.0])
    with computing:
        for way, groups in ((1, able.table.forward), (2, able.table.back)):
            for first, last, n, lead, back in groups:
                for i in range(first, last):
                    entry = found[able.table.code[i].name]
                    entry[0] += 1
                    entry[way] += 1e3 * batch / N * _seconds(able, run, np.array([[i, i + 1, n, lead, back]]))
    return 1e3 * alone, {name: tuple(entry) for name, entry in found.items()}


def _seconds(able, run, group):
    """The best time of a group of one instruction."""
    table, best = able.table, np.inf
    grads = np.zeros(table.packer.all_gradients, run.weights.dtype)
    for _ in range(RUNS):
        start = time.perf_counter()
        numbers = table.rows, group, table.starts, table.runs, table.at, table.rooms
        walk(*numbers, run._work, run.weights, grads, run.N, run.draw)
        best = min(best, time.perf_counter() - start)
    return best


def lines(row, alone, found):
    """The table, the opcode that takes longest first."""
    total = sum(there + back for _, there, back in found.values())
    yield f"{row}, one worker: {alone:.1f} ms per step; its instructions alone {total:.1f} ms"
    yield f"{'opcode':16}{'instructions':>14}{'there ms':>12}{'back ms':>12}{'share':>8}"
    for name, (count, there, back) in sorted(found.items(), key=lambda item: -sum(item[1][1:])):
        yield f"{name:16}{count:14}{there:12.2f}{back:12.2f}{(there + back) / total:8.1%}"
