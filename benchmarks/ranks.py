"""Several processes: where the time of a step goes, and what that promises for more of them.

Run: mpiexec -n R python benchmarks/ranks.py [ROW ...] [--workers W] [--add FILE]    time steps; add lines to a file
     python benchmarks/ranks.py --figure FILE                                        the figure of docs/ranks.md

A step of a rank is its own shards, waiting for the slowest other rank, the sum of the gradients, and the rest: the
optimizer, the batch, callbacks. Times are medians over ROUNDS epochs of STEPS steps; run it on idle machines.

The model of the figure is for 64 shards: a rank computes its share of them; then the tree (minipixel/slices.py) sends
each rank a slice of every sum that waits on any rank, and a slice of the total to all. A message takes ALPHA seconds
and its bytes over 90 % of the network; a core adds ADDED bytes per second.
"""

import argparse
import json
import resource
import statistics
import time
from pathlib import Path

import numpy as np

import minipixel as mp
from minipixel import ranks, shards
from minipixel.messages import Ranks
from minipixel.slices import summed
from minipixel.tree import nodes

IMAGE = Path(__file__).parent.parent / "docs" / "images" / "ranks.png"
ROUNDS, STEPS = 5, 4
ALPHA, ADDED, SHARDS = {10: 30e-6, 100: 5e-6}, 4e9, 64
GRADIENTS = {0.1: 0.05, 3: 0.5, 200: 60}  # megabytes, and seconds of a step on one rank

ROWS = {
    "small": ("pixelcnn", {"hidden": 24, "blocks": 5}, (28, 28, 1), 2, 64),
    "middle": ("gated", {"filters": 64, "layers": 7}, (28, 28, 1), 2, 32),
    "paper": ("pixelcnnpp", {"filters": 160, "resnets": 5, "hierarchies": 3}, (32, 32, 3), 256, 4),
}
"""Model, options, images, levels, batch: gradients of about 0.1, 3 and 200 MB."""


class Timed(Ranks):
    """Ranks that keep the seconds of waiting for the others, and those of adding up."""

    def __init__(self, comm):
        super().__init__(comm)
        self.waiting = self.adding = 0.0

    def exchange(self, *arguments, **options):
        began = time.perf_counter()
        try:
            return super().exchange(*arguments, **options)
        finally:
            self.waiting += time.perf_counter() - began

    def timed(self, summed):
        """`summed` of slices.py, with its seconds less those of waiting kept."""

        def called(*arguments):
            began, waited = time.perf_counter(), self.waiting
            result = summed(*arguments)
            self.adding += time.perf_counter() - began - (self.waiting - waited)
            return result

        return called


class Clock(mp.callbacks.Callback):
    """The seconds of each epoch, and what of them went into waiting and adding."""

    def __init__(self, group):
        self.group, self.epochs = group, []

    def on_epoch_begin(self, epoch, optimizer):
        self.began = time.perf_counter(), self.group.waiting, self.group.adding

    def on_evaluation_begin(self):
        now = time.perf_counter(), self.group.waiting, self.group.adding
        self.epochs.append([after - before for before, after in zip(self.began, now, strict=True)])


def steps(name, workers):
    """Time a row; a dict of milliseconds per step, the medians of this rank."""
    kind, options, shape, levels, batch = ROWS[name]
    group, rounds, count = Timed(ranks.world().comm), ROUNDS, STEPS
    if name == "paper":
        rounds, count = 1, 2
    model = mp.models.MODELS[kind](shape, levels, rng=0, **options)
    images = np.random.default_rng(0).integers(0, levels, (batch * count, *shape))
    clock = Clock(group)
    shards.summed = group.timed(summed)
    settings = {"epochs": rounds + 1, "batch_size": batch, "workers": workers, "progress": False}
    mp.fit(model, images, callbacks=[clock], ranks=group, **settings)
    whole, waiting, adding = (1e3 * statistics.median(column) / count for column in zip(*clock.epochs[1:], strict=True))
    return {
        "row": name,
        "ranks": group.size,
        "workers": workers,
        "gradient_mb": model.num_parameters * 4 / 1e6,
        "shards": -(-batch // model.shard_of_batch(batch)),
        "step_ms": whole,
        "waiting_ms": waiting,
        "sum_ms": adding,
        "images_per_second": batch / whole * 1e3,
        "memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10,
    }


def seconds_of_sum(R, megabytes, gigabits):
    """The model: seconds of a sum over R ranks, for gradients of so many megabytes on such a network."""
    if R == 1:
        return 0.0
    latency, speed, size = ALPHA[gigabits], gigabits * 1e9 / 8 * 0.9, megabytes * 1e6
    counts = [len(nodes(SHARDS, range(-(-SHARDS * r // R), -(-SHARDS * (r + 1) // R)))) for r in range(R)]
    sent = (R - 1) * latency + max(counts) * size * (R - 1) / R / speed
    added = sum(counts) * size / R / ADDED
    returned = np.ceil(np.log2(R)) * latency + size * (R - 1) / R / speed
    return sent + added + returned


def efficiency(R, megabytes, gigabits, step):
    """The share of R ranks that computes: the step of one rank, divided by R, over that of R ranks."""
    return step / R / (step * np.ceil(SHARDS / R) / SHARDS + seconds_of_sum(R, megabytes, gigabits))


def figure(measured):
    """Efficiency by ranks for three gradients and two networks, and what was measured -> Figure."""
    picture = mp.plots.figure(7.6, 3.6)
    panels = picture.subplots(1, 2, sharey=True)
    sizes = 2 ** np.arange(7)
    colours = dict(zip(GRADIENTS, ("#3b6fb6", "#d08a2e", "#6b4c9a"), strict=True))
    for ax, gigabits in zip(panels, ALPHA, strict=True):
        for megabytes, step in GRADIENTS.items():
            shares = [100 * efficiency(R, megabytes, gigabits, step) for R in sizes]
            label = f"{megabytes:g} MB of gradients, a step of {step:g} s"
            ax.plot(sizes, shares, color=colours[megabytes], label=label)
        ax.set(
            xscale="log", xlabel="ranks, one per machine", title=f"{gigabits} Gbit/s between machines", ylim=(0, 112)
        )
        ax.set_xticks(sizes, [str(R) for R in sizes])
        ax.minorticks_off()
        ax.grid(alpha=0.25)
        ax.spines[["top", "right"]].set_visible(False)
    measured = [line for line in measured if line["workers"] == 1]
    alone = {line["row"]: line["step_ms"] for line in measured if line["ranks"] == 1}
    for line in measured:
        if line["ranks"] > 1 and line["row"] in alone:
            share = 100 * alone[line["row"]] / line["ranks"] / line["step_ms"]
            nearest = min(GRADIENTS, key=lambda megabytes: abs(np.log(megabytes / line["gradient_mb"])))
            for ax in panels:
                ax.plot(line["ranks"], share, "o", color=colours[nearest], mec="white", ms=7, zorder=3)
    panels[0].plot([], [], "o", color="grey", mec="white", label="measured, ranks on one machine")
    panels[0].set_ylabel("share of the ranks' time that computes (%)")
    panels[0].legend(frameon=False, fontsize=7.5, loc="lower left")
    return picture


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", default=[*ROWS][:2])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--add", type=Path)
    parser.add_argument("--figure", type=Path)
    arguments = parser.parse_args()
    if arguments.figure:
        measured = [json.loads(line) for line in arguments.figure.read_text().splitlines()]
        IMAGE.write_bytes(mp.plots.png(figure(measured)))
        print(IMAGE)
        return
    for name in arguments.rows:
        found = steps(name, arguments.workers)
        if ranks.world().first:
            print("  ".join(f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in found.items()), flush=True)  # fmt: skip  # noqa: E501
            if arguments.add:
                with arguments.add.open("a") as file:
                    print(json.dumps(found), file=file)


if __name__ == "__main__":
    main()
