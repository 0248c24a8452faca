"""Milliseconds of a training step: ours beside the same model in PyTorch; the floor under both; peak memory.

Run: python benchmarks/training.py                          all six models; two idle cores, since others spoil it
     python benchmarks/training.py --models gated --quick   some models, few rounds, no memory; --help for the rest
     python benchmarks/training.py --profile gated          where the time of ours goes, op by op; nothing else
With --write the table goes into docs/results.md; all figures go into a JSON file.

Ours is `mp.fit` itself, on a few batches, with a worker a core. A callback notes the time after each batch, and a
step's time is what has passed since the one before, or, for the first, since the epoch began: shuffling, cutting,
shards, sums, Adam and the loss all count. What happens once a training does not: checking the images, starting the
threads, compiling, the first batch that brings weight-normalised weights into range.

The twin's step (torch_training.py) is zero_grad, forward, loss, backward, and PyTorch's fused Adam, on a batch that
lies ready as floats in its own memory layout. Both layouts take part, with a thread a core (more settings by
--threads), and what is fastest counts. With --by-index the twins of LSTMs take their rows one by one, as most public
code does, which costs them much on the way back.

Both start from the same weights, and before anything is timed their losses must agree. All take turns: some steps of
ours, some of each twin, and again. A round's time is the median of its steps; the table has the medians of the rounds,
their ratio, the smallest and the largest ratio within a round, and the ratio of the fastest steps. Other work on the
same cores slows several threads of PyTorch, which wait for each other many times a step, far more than ours: so how
much of the cores it took is measured with every round, and with --patience the quietest rounds count.

The floor: see training_floor.py. Memory: see training_memory.py; PyTorch's is that of the layout which needs less.
"""

import argparse
import functools
import itertools
import json
import os
import time
from pathlib import Path

import accounts
import numpy as np
import sampling_report
import torch
import torch_training
import torch_twins
import training_memory
import training_profile
import training_report
from training_floor import flop, sgemm_peak
from training_models import ROWS, fit, noise, ours

import minipixel as mp

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
QUIET = 0.1  # of the cores: what other work may take of them in a round that is worth having
AGREE = 1e-4  # of the loss: float32, and the twin's mixture loses digits in narrow bins


def contestants(model, images, threads, steps, batch, workers=None):
    """By name, functions that take `steps` steps and return the seconds of each; checked to compute the same loss."""
    if (apart := torch_training.disagreement(model, images[:4])) > AGREE:
        raise ValueError(
            f"{model.name}: got losses that are {apart:.1e} apart, wanted {AGREE:.0e} at most, of the same model"
        )
    runs = {}
    for layout, count in itertools.product(torch_training.LAYOUTS, threads):
        step = torch_training.Step(model, images[:batch], layout)
        runs[f"{layout}, {count} threads"] = functools.partial(theirs, step, count, steps)
    return {"ours": functools.partial(fit, model, images, batch, mp.optim.Adam(), workers)} | runs


def theirs(step, threads, steps):
    """Seconds of each of some steps of a twin."""
    torch.set_num_threads(threads)
    seconds = np.empty(steps)
    for i in range(steps):
        start = time.perf_counter()
        step()
        seconds[i] = time.perf_counter() - start
    return seconds


def measure(row, rounds, steps, threads, patience=0, side=28, batch=None):
    """Seconds of each step of each round, by contestant; the FLOP of a step; what else the cores had to do.

    Of all rounds the quietest count; there are no more than these, unless `patience`, in seconds, is left for others.
    """
    batch = batch or ROWS[row][2]
    runs = contestants(ours(row, side), noise(row, batch * steps, side), threads, steps, batch)
    for run in runs.values():
        run()  # compiles, and fills caches
    found, give_up = [], time.monotonic() + patience
    while len(found) < rounds or (sum(other < QUIET for other, _ in found) < rounds and time.monotonic() < give_up):
        others = accounts.Others()
        seconds = {who: run().tolist() for who, run in runs.items()}
        found.append((others.share(), seconds))
    quietest = sorted(found, key=lambda pair: pair[0])[:rounds]
    return {
        **{"model": row, "batch": batch, "side": side, "flop": batch * flop(ours(row, side))},
        "seconds": {who: [seconds[who] for _, seconds in quietest] for who in runs},
        **{"other work": float(np.mean([other for other, _ in quietest])), "rounds in all": len(found)},
        "memory": None,
    }


def main():
    parser = argparse.ArgumentParser(description="Training steps, ours and PyTorch's, side by side.")
    parser.add_argument("--models", nargs="+", choices=ROWS, default=list(ROWS), metavar="model", help=", ".join(ROWS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=3, help="steps of each in a round")
    parser.add_argument("--patience", type=float, default=0, help="seconds a model to wait for quiet rounds")
    parser.add_argument("--threads", nargs="+", type=int, default=[CORES], help="of PyTorch: the fastest counts")
    parser.add_argument("--by-index", action="store_true", help="twins take rows one by one, as most code does")
    parser.add_argument("--json", type=Path, default=Path("runs/training.json"))
    parser.add_argument("--quick", action="store_true", help="2 rounds of 2 steps, no memory")
    parser.add_argument("--profile", choices=ROWS, metavar="model", help="the share of each op, no more")
    parser.add_argument("--write", action="store_true", help="write the table into docs/")
    options = parser.parse_args()
    if options.write and (options.quick or options.by_index or options.models != list(ROWS)):
        parser.error("--write: got other options, wanted none, since the page has the full table of the best twins")
    torch_twins.LSTM.by_index = options.by_index
    if options.profile:
        print(*training_profile.lines(options.profile, *training_profile.profile(options.profile)), sep="\n")
        return
    if options.quick:
        options.rounds, options.steps = 2, 2

    found = {"machine": sampling_report.machine(CORES), "peak": 0.0, "rows": []}
    print(sampling_report.describe(found["machine"]), flush=True)
    for row in options.models:
        settings = options.rounds, options.steps, options.threads, options.patience
        found["peak"] = max(found["peak"], sgemm_peak())
        found["rows"].append(measure(row, *settings))
        print(training_report.line(found["rows"][-1], found["peak"]), flush=True)
    if not options.quick:
        for row in found["rows"]:
            kinds = ("ours", *torch_training.LAYOUTS)
            figures = {whose: training_memory.in_fresh_process(row["model"], whose) for whose in kinds}
            row["memory"] = figures if None not in figures.values() else None
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(found, indent=1) + "\n")
    training_report.report(options.json, options.write)


if __name__ == "__main__":
    main()
