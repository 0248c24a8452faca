"""A training step of a model that is nearly certain beside one of a fresh one, ours and PyTorch's: they are alike.

Run: python benchmarks/near_certain.py             all models, some minutes on two idle cores; --help for the rest

Where a model is nearly certain its gradients fall below 1.2e-38. Many processors, Intel's above all, then take some
hundred times as long for each number; others, AMD's of late, do not, and on these all ratios are 1 whatever is done.
So the first line says how it is with this one: the time of products of denormal numbers over that of ordinary ones.

Each model comes twice with the same weights, but for its last bias, which is moved by -85 (training_models.py), and is
then trained on blank images, of which it is nearly certain. All take turns, as in training.py: `mp.fit` with two
workers, and the twin's loop with two threads in both memory layouts; the one that is faster when fresh counts. A time
is the median of all steps, a ratio that of the medians of a round, and its median over the rounds. What is wanted of
ours is at most 1.15. Models without a twin are ours alone.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import sampling_report
from training import CORES, contestants
from training_models import ROWS, WITHOUT_TWIN, blank, certain, fit, noise, ours

import minipixel as mp

WORKERS = 2
ALL = ROWS | WITHOUT_TWIN


def runs_of(row, steps, side, batch, shift):
    """By (whose, fresh or certain), functions that take `steps` steps and return the seconds of each."""
    found = {}
    for kind, model, images in (
        ("fresh", ours(row, side), noise(row, batch * steps, side)),
        ("certain", certain(row, side, shift), blank(row, batch * steps, side)),
    ):
        if row in ROWS:
            runs = contestants(model, images, [WORKERS], steps, batch, WORKERS)
        else:
            optimizer = mp.optim.Adam()
            runs = {"ours": lambda m=model, i=images, o=optimizer: fit(m, i, batch, o, WORKERS)}
        found |= {(whose, kind): run for whose, run in runs.items()}
    return found


def measure(row, rounds, steps, side=28, batch=None, shift=-85):
    """Seconds of each step of each round, by whose and which: {"ours": {"fresh": (rounds, steps), "certain": ...}}."""
    runs = runs_of(row, steps, side, batch or ALL[row][2], shift)
    for run in runs.values():
        run()  # compiles, and fills caches
    found = {}
    for _ in range(rounds):
        for (whose, kind), run in runs.items():
            found.setdefault(whose, {}).setdefault(kind, []).append(np.asarray(run()).tolist())
    return found


def summary(found):
    """Of ours and of the faster layout of the twin: fresh ms, certain ms, their ratio; None where there is no twin."""

    def times(whose):
        rounds = {kind: np.median(found[whose][kind], axis=1) for kind in ("fresh", "certain")}
        ratio = float(np.median(rounds["certain"] / rounds["fresh"]))
        return *(1e3 * float(np.median(rounds[kind])) for kind in ("fresh", "certain")), ratio

    twins = [times(whose) for whose in found if whose != "ours"]
    return times("ours"), min(twins, default=None)


def penalty(n=2**14, runs=200):
    """How many times as long NumPy takes, outside of this library, to multiply denormal numbers."""

    def fastest(value):
        a, best = np.full(n, value, np.float32), float("inf")
        out = np.empty_like(a)
        for _ in range(runs):
            start = time.perf_counter()
            np.multiply(a, np.float32(0.5), out=out)
            best = min(best, time.perf_counter() - start)
        return best

    return fastest(1e-39) / fastest(1.0)


def line(row, found):
    mine, theirs = summary(found)
    cells = [f"{ms:9.1f}" for ms in mine[:2]] + [f"{mine[2]:7.2f}"]
    cells += (
        [" " * 9, " " * 9, " " * 7] if theirs is None else [f"{ms:9.1f}" for ms in theirs[:2]] + [f"{theirs[2]:7.2f}"]
    )
    return f"{row:16}" + "".join(cells)


def main():
    parser = argparse.ArgumentParser(description="Steps of models that are nearly certain, beside those of fresh ones.")
    parser.add_argument("--models", nargs="+", choices=ALL, default=list(ALL), metavar="model", help=", ".join(ALL))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3, help="steps of each in a round")
    parser.add_argument("--shift", type=float, default=-85, help="of the last bias")
    parser.add_argument("--json", type=Path, default=Path("runs/near_certain.json"))
    options = parser.parse_args()
    print(sampling_report.describe(sampling_report.machine(CORES)))
    print(f"denormal numbers take {penalty():.1f} times as long here; ms a step of ours, then of PyTorch's:")
    print(f"{'':16}" + f"{'fresh':>9}{'certain':>9}{'ratio':>7}" * 2, flush=True)
    found = {}
    for row in options.models:
        found[row] = measure(row, options.rounds, options.steps, shift=options.shift)
        print(line(row, found[row]), flush=True)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
