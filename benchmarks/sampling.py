"""Seconds to draw binary images: our samplers beside the loop that PyTorch users write; memory; growth with the size.

Run: python benchmarks/sampling.py                       all of it; two idle cores, since threads that wait spoil it
     python benchmarks/sampling.py gated --batches 1     some models, some batches; --help for the rest
With --write the tables go into docs/results.md and the figure into docs/images/; all figures go into a JSON file.

The same model in PyTorch (benchmarks/torch_twins.py) and ours take turns: a whole run of each of our samplers, some
steps of the twin's loop, and again. Both are untrained, as no cost depends on the weights. The twin gets what it can
use: inference mode, normalised weights computed once, and of both memory layouts, on one core and on all, what is
fastest counts.

A naive sampler makes one forward pass per pixel, always of the whole image, so each of its steps costs the same. Some
steps, spread over the image, are timed, and their median is multiplied by the pixels. That this may be done is measured
each time: at the smallest batch the whole loop runs once, and the table says how long it took beside what was foretold.
"""

import argparse
import collections
import functools
import itertools
import json
import multiprocessing
import os
import time
import warnings
from pathlib import Path

import accounts
import numpy as np
import sampling_report
import torch
import torch_twins
from torch.nn.utils import parametrize

import minipixel as mp
from minipixel.sampling import Cached, program_of
from minipixel.sampling.machine import Machine
from minipixel.shards import Workers

METHODS = ("cached", "wavefront")
MODELS = {
    "pixelcnn": (mp.models.PixelCNN, {"hidden": 16, "blocks": 7}),
    "gated": (mp.models.GatedPixelCNN, {"filters": 32, "layers": 7}),
    "row-lstm": (mp.models.RowLSTM, {"hidden": 16, "layers": 7}),
    "diagonal-bilstm": (mp.models.DiagonalBiLSTM, {"hidden": 16, "layers": 7}),
    "pixelcnnpp": (mp.models.PixelCNNpp, {"filters": 32, "resnets": 2, "hierarchies": 2}),
}
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
SETTINGS = list(itertools.product(("contiguous_format", "channels_last"), sorted({1, CORES})))  # layout, threads
RUNS, STEPS = 5, 3  # whole runs of each of ours, and naive steps after each run
PLOTTED, PLOTTED_BATCH, SIDES = ("pixelcnn", "row-lstm"), 16, (8, 12, 16, 24, 32, 48, 64)


def seconds(call, *arguments, **options):
    start = time.perf_counter()
    call(*arguments, **options)
    return time.perf_counter() - start


def ours(name, side):
    kind, options = MODELS[name]
    return kind((side, side, 1), 2, head="bernoulli", **options)


def twin(name, layout="contiguous_format"):
    return torch_twins.TWINS[name](**MODELS[name][1]).eval().to(memory_format=getattr(torch, layout))


def forward_seconds(model, images):
    """One forward pass of ours, as in its naive sampler: each shard makes its passes in a row, on whichever core."""

    def passes(part):
        for _ in range(STEPS):
            model.predict(images[part])

    with Workers() as workers:
        return seconds(lambda: list(workers.map(passes, len(images), model.wide_shard_size))) / STEPS


def step_seconds(network, images, r, c):
    """Of the twin's loop: its forward pass alone, and the whole step."""
    inner = []

    def watched(x):
        start = time.perf_counter()
        logits = network(x)
        inner.append(time.perf_counter() - start)
        return logits

    whole = seconds(torch_twins.naive_step, watched, images, r, c)
    return inner[0], whole


def measure(name, n, side, runs=RUNS, whole=False):
    """Medians in seconds for n images of side x side pixels; with `whole` also what the twin's whole loop took."""
    model, pixels = ours(name, side), side * side
    twins = {setting: twin(name, setting[0]) for setting in SETTINGS}
    images, theirs = np.zeros((n, side, side, 1), np.uint8), torch.zeros(n, 1, side, side)
    places = np.linspace(0, pixels - 1, runs * STEPS).astype(int).reshape(runs, STEPS)
    times = collections.defaultdict(list)
    with torch.inference_mode(), parametrize.cached():
        for method in METHODS:
            model.sample(n, rng=0, method=method)  # compiles
        for run, places_of_run in enumerate(places):
            for method in METHODS:
                times[method].append(seconds(model.sample, n, rng=run, method=method))
            times["forward"].append(forward_seconds(model, images))
            for setting, network in twins.items():
                torch.set_num_threads(setting[1])
                times[setting] += [step_seconds(network, theirs, *divmod(t, side)) for t in places_of_run]
        medians = {what: np.median(values, axis=0) for what, values in times.items()}
        setting = min(SETTINGS, key=lambda setting: medians[setting][1])
        forward, step = medians[setting]
        row = {
            **{"model": name, "batch": n, "side": side, "torch setting": setting},
            **{"torch forward": forward, "torch naive": pixels * step},
            **{"our forward": medians["forward"], "our naive": pixels * medians["forward"]},
            **{method: medians[method] for method in METHODS},
        }
        if whole:
            torch.set_num_threads(setting[1])
            row["torch whole loop"] = seconds(torch_twins.naive_sample, twins[setting], n, side, side)
    return row


def growth(name, n, side, method):
    """MiB that this process grows by at the peak of a run, once a run of one image has loaded and compiled all.

    Memory that the first run has left free counts for nothing. Of the torch loop, three steps, all of them alike.
    """
    run = functools.partial(ours(name, side).sample, rng=0, method=method) if method in METHODS else loop(name, side)
    run(1)
    return accounts.peak_growth(lambda: run(n))


def loop(name, side):
    network = twin(name)

    def run(n):
        images = torch.zeros(n, 1, side, side)
        with torch.inference_mode(), parametrize.cached():
            for column in range(3):
                torch_twins.naive_step(network, images, 0, column)

    return run


def memory(names, n, side):
    """A fresh process for every figure; nothing where the system keeps no such account."""
    if not accounts.KNOWN:
        return []
    rows = []
    for name in names:
        row = {"model": name, "batch": n}
        for method in ("torch naive", *METHODS):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                row[method] = pool.apply(growth, (name, n, side, method))
        rows.append(row)
    return rows


def executors(names, side):
    """How many times faster the compiled loop is than the plain executor, on one thread, a shard of each size."""
    for name in names:
        model, gains = ours(name, side), []
        program = program_of(model, wave=True)[0]
        plain, fast = Cached(program, model), Machine(program, model)
        for n in (1, fast.shard_size):
            shape = (n, side, side, 1)
            task = (
                np.random.default_rng(0).random(shape),
                None,
                1.0,
                np.zeros(shape, np.uint8),
                np.zeros(shape[:3], bool),
            )
            fast(*task)  # compiles
            with Workers(1):
                pairs = [(seconds(plain, *task), seconds(fast, *task)) for _ in range(RUNS)]
            gains.append(f"{np.median([a / b for a, b in pairs]):.0f} times for {n} images")
        print(f"{name:16}{', '.join(gains)}", flush=True)


def main():
    parser = argparse.ArgumentParser(description="Sampling, ours and PyTorch's, side by side.")
    parser.add_argument("models", nargs="*", metavar="model", help=f"{', '.join(MODELS)}; none: all")
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 16, 64])
    parser.add_argument("--side", type=int, default=28, help="height and width of the images")
    parser.add_argument("--sides", nargs="*", type=int, default=SIDES, help="those of the figure; none: no figure")
    parser.add_argument("--json", type=Path, default=Path("runs/sampling.json"))
    parser.add_argument("--executors", action="store_true", help="the compiled loop beside the plain executor, no more")
    parser.add_argument("--write", action="store_true", help="write the tables and the figure into docs/")
    options = parser.parse_args()
    names = options.models or list(MODELS)
    if unknown := [name for name in names if name not in MODELS]:
        parser.error(f"got {', '.join(unknown)}, wanted some of {', '.join(MODELS)}")
    if options.write and options.models:
        parser.error(
            f"--write: got {', '.join(names)} alone, wanted no names, since the page has a table of all models"
        )

    if options.executors:
        executors(names, options.side)
        return

    warnings.filterwarnings("ignore", "wavefront: no slope")  # the columns then agree
    found = {"machine": sampling_report.machine(CORES), "methods": METHODS, "rows": [], "memory": [], "growth": []}
    print(sampling_report.describe(found["machine"]), flush=True)
    for name, n in itertools.product(names, options.batches):
        found["rows"].append(measure(name, n, options.side, whole=n == min(options.batches)))
        print(sampling_report.line(found["rows"][-1]), flush=True)
    found["memory"] = memory(names, max(options.batches), options.side)
    for name, side in itertools.product([name for name in PLOTTED if name in names], options.sides):
        found["growth"].append(measure(name, PLOTTED_BATCH, side, runs=3))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(found, indent=1) + "\n")
    sampling_report.report(options.json, options.write)


if __name__ == "__main__":
    main()
