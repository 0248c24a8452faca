"""The first hundred steps of a fresh process, caches warm, beside those of its second `fit`: what every user waits for.

Run: python benchmarks/first_fit.py            four fresh processes in turn, several rounds; --help for the rest

All train a PixelCNN (hidden 32) on binary noise of 28x28, batches of 50, a worker a core. Before anything is timed, one
process compiles what Numba keeps on disk. Then, each in a process of its own:

    first fit      `mp.fit`, its first epoch of a hundred steps
    second fit     the same once more in that process: what every other benchmark has always timed
    minipixel train   the command line itself, the same hundred steps
    PyTorch        the twin's loop (torch_training.py) in channels last, as first thing in its process

A step's time is what has passed since the one before. Columns: from the start of the process to the end of its first
step, imports and all; that first step; the median of all; a hundred steps, and that over a second fit's. What is wanted
of the first two rows that are ours is at most 1.1 in the last column. Idle cores, since others spoil it.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import accounts
import numpy as np

BATCH, HIDDEN = 50, 32
# row -> (the process that it is from, its place among the runs of that)
ROWS = {"first fit": ("fit", 0), "second fit": ("fit", 1), "minipixel train": ("train", 0), "PyTorch": ("torch", 0)}


def images(n, side):
    return np.random.default_rng(0).integers(0, 2, (n, side, side, 1), dtype=np.uint8)


def run(times):
    """From when the first step began and every step ended: seconds of each, and when the first one ended."""
    first_done = time.time() - (time.perf_counter() - times[1])
    return {"seconds": np.diff(times).tolist(), "first done": first_done}


# --- what runs in a process of its own, and imports what it needs -----------------------------------------------------


def of_fit(steps, side):
    from training_models import Stamps

    import minipixel as mp

    model = mp.models.PixelCNN((side, side, 1), 2, hidden=HIDDEN)
    for _ in range(2):
        stamps = Stamps()
        mp.fit(model, images(steps * BATCH, side), epochs=1, batch_size=BATCH, callbacks=[stamps], progress=False)
        yield run(stamps.times)


def of_train(steps, side):
    """The command line, which is told only where to find its pictures, and gets a watch."""
    from training_models import Stamps

    import minipixel as mp
    from minipixel import cli
    from minipixel.cli import train

    stamps, fit = Stamps(), train.fit
    train.fit = lambda *data, callbacks, **options: fit(*data, callbacks=[*callbacks, stamps], **options)
    splits = [mp.datasets.Split(images(n, side), np.zeros(n, int)) for n in (steps * BATCH, BATCH, BATCH)]
    mp.datasets.DATASETS["mnist"] = lambda *ignored, **named: mp.datasets.Dataset("mnist", *splits, 2, ("noise",))
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        chosen = f"--data mnist --model pixelcnn --hidden {HIDDEN} --epochs 1 --batch-size {BATCH}".split()
        if cli.main(["train", *chosen, "--out", str(Path(folder) / "run")]):
            raise SystemExit("first_fit: minipixel train did not end well")
    yield run(stamps.times)


def of_torch(steps, side):
    import torch_training

    import minipixel as mp

    model = mp.models.PixelCNN((side, side, 1), 2, hidden=HIDDEN)
    step = torch_training.Step(model, images(BATCH, side), "channels_last")
    times = [time.perf_counter()]
    for _ in range(steps):
        step()
        times.append(time.perf_counter())
    yield run(times)


CHILDREN = {"fit": of_fit, "train": of_train, "torch": of_torch}


def in_fresh_process(kind, steps, side):
    """For each run of a new process: its seconds, and how long after the start of the process the first step ended."""
    command = [sys.executable, __file__, "--child", kind, "--steps", str(steps), "--side", str(side)]
    start = time.time()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [found | {"first done": found["first done"] - start} for found in json.loads(done.stdout)]


def measure(rounds, steps, side):
    """By row, a run a round; all rows take turns."""
    in_fresh_process("fit", 1, side)  # compiles
    found = {row: [] for row in ROWS}
    for _ in range(rounds):
        runs = {kind: in_fresh_process(kind, steps, side) for kind in CHILDREN}
        for row, (kind, place) in ROWS.items():
            found[row].append(runs[kind][place])
    return found


def lines(found):
    """The table: medians over rounds; the last column is the median of the ratios within a round."""
    yield f"{'':16}{'first done, s':>14}{'first, ms':>11}{'median, ms':>12}{'all, s':>9}{'over second':>13}"
    second = [sum(run["seconds"]) for run in found["second fit"]]
    for row, runs in found.items():
        seconds = np.array([run["seconds"] for run in runs])
        done = np.median([run["first done"] for run in runs])
        first, median, total = np.median(seconds[:, 0]), np.median(seconds), np.median(seconds.sum(axis=1))
        ratio = np.median(seconds.sum(axis=1) / second)
        yield f"{row:16}{done:14.2f}{1e3 * first:11.0f}{1e3 * median:12.0f}{total:9.2f}{ratio:13.3f}"


def main():
    parser = argparse.ArgumentParser(description="First steps in a fresh process, beside those of a second fit.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--side", type=int, default=28, help="of the images")
    parser.add_argument("--json", type=Path, default=Path("runs/first_fit.json"))
    parser.add_argument("--child", choices=CHILDREN, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(list(CHILDREN[options.child](options.steps, options.side))))
        return
    others = accounts.Others()
    found = measure(options.rounds, options.steps, options.side)
    print(*lines(found), f"other work took {others.share():.0%} of the cores", sep="\n")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
