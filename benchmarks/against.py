"""Milliseconds of a training step, before a change and after it: two checkouts in one run, step beside step.

Run: python benchmarks/against.py --before PATH                    PATH: another checkout of this repository
     python benchmarks/against.py --before PATH --models own gated --pairs 5 --memory            --help for the rest

Each row starts a process for each checkout (against_side.py), which builds the same model and the same images
(against_models.py) and takes steps of `mp.fit` when asked. Only one of them computes at a time. They take turns,
before, after, after, before, so that what slows the machine meets both; a turn's time is the median of its steps, a
pair's ratio that of its two turns, before / after: above 1 the change made it faster. The table has medians and
quartiles of the pairs. An option (classes, dropout, ...) takes turns with its plain model, too, in the checkout after:
`of plain` is how many times as long its step takes, `work` how many times as many multiplications it has, but for
those of conditions.

With --memory each figure is that of a process of its own, which has taken steps on images of 8x8 before: MiB that steps
add at their peak.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import accounts
import numpy as np
from against_models import ROWS
from training_floor import flop

HERE = Path(__file__).parent


class Side:
    """A process with one checkout's minipixel; it ends with the block that it is made for."""

    def __init__(self, checkout):
        path = os.pathsep.join([str(checkout), *filter(None, [os.environ.get("PYTHONPATH")])])
        command = [sys.executable, str(HERE / "against_side.py")]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, **pipes)
        where = Path(self._answer())
        if not where.is_relative_to(checkout):
            self.__exit__()
            raise ValueError(f"checkout: got minipixel from {where}, wanted that of {checkout}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.communicate()  # nothing more to ask: it ends

    def steps(self, row, k):
        """The median seconds of k steps."""
        return float(np.median(self._ask(row=row, steps=k)))

    def memory(self, row, k):
        """MiB that k steps add at their peak."""
        return self._ask(row=row, memory=k)

    def _ask(self, **request):
        print(json.dumps(request), file=self.process.stdin, flush=True)
        return self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise ValueError(f"a side of the benchmark: got no answer, status {self.process.wait()}, wanted one")
        return json.loads(line)


def turns(contestants, rounds):
    """The time of each contestant in each round, (rounds, contestants); the order turns round every time."""
    for run in contestants:
        run()  # compiles, and fills caches
        run()
    times = np.empty((rounds, len(contestants)))
    for r in range(rounds):
        order = range(len(contestants)) if r % 2 == 0 else reversed(range(len(contestants)))
        for who in order:
            times[r, who] = contestants[who]()
    return times


def measure(name, before, after, pairs, steps):
    """Seconds by round: (pairs, 2), or (pairs, 3) with the plain model of an option last."""
    plain = ROWS[name].plain
    with Side(before) as old, Side(after) as new:
        contestants = [lambda: old.steps(name, steps), lambda: new.steps(name, steps)]
        if plain:
            contestants.append(lambda: new.steps(plain, steps))
        return turns(contestants, pairs)


def memory(name, before, after, steps):
    """MiB that steps add to a process, before and after."""
    found = []
    for checkout in (before, after):
        with Side(checkout) as side:
            found.append(side.memory(name, steps))
    return found


def work(name):
    """How many times as many multiplications an option has as its plain model, an image."""
    model, plain = ROWS[name].model(), ROWS[ROWS[name].plain].model()
    tied = 4 if ROWS[name].kind == "own" else 0  # three gated residuals share two weights
    of_condition = matrices(model) - matrices(plain) if model.conditions.width else 0
    return flop(model, tied - of_condition) / flop(plain)


def matrices(model):
    return sum(parameter.data.ndim > 1 for parameter in model.parameters())


def line(name, times):
    """A row of the table."""
    before, after, *plain = 1e3 * np.median(times, axis=0)
    low, ratio, high = np.percentile(times[:, 0] / times[:, 1], [25, 50, 75])
    text = f"{name:26}{before:10.1f}{after:10.1f}{ratio:10.3f}   {low:.3f} to {high:.3f}"
    if plain:
        text += f"{np.median(times[:, 1] / times[:, 2]):10.2f}{work(name):7.2f}"
    return text


def main():
    parser = argparse.ArgumentParser(description="Training steps of two checkouts, side by side.")
    parser.add_argument("--before", type=Path, required=True, help="a checkout of this repository")
    parser.add_argument("--after", type=Path, default=HERE.parent, help="another one; this one if left out")
    parser.add_argument("--models", nargs="+", choices=ROWS, default=list(ROWS), metavar="row", help=", ".join(ROWS))
    parser.add_argument("--pairs", type=int, default=21)
    parser.add_argument("--steps", type=int, default=3, help="steps of a turn")
    parser.add_argument("--memory", action="store_true", help="what steps add to the memory of a process, no times")
    parser.add_argument("--json", type=Path, help="a file for all times")
    options = parser.parse_args()
    if options.memory and not accounts.KNOWN:
        parser.error("--memory: got a system without /proc/self/clear_refs, wanted Linux, which accounts for peaks")
    before, after = options.before.resolve(), options.after.resolve()
    if options.memory:
        print(f"{'':26}{'before':>10}{'after':>10}{'ratio':>10}   MiB", flush=True)
    else:
        head = f"{'':26}{'before':>10}{'after':>10}{'ratio':>10}   {'quartiles':14}{'of plain':>10}{'work':>7}"
        print(f"{head}   milliseconds a step, medians of {options.pairs}", flush=True)
    found = {}
    for name in options.models:
        if options.memory:
            found[name] = memory(name, before, after, options.steps)
            first, second = found[name]
            print(f"{name:26}{first:10.1f}{second:10.1f}{first / second:10.2f}", flush=True)
        else:
            times = measure(name, before, after, options.pairs, options.steps)
            found[name] = times.tolist()
            print(line(name, times), flush=True)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
