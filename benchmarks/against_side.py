"""One side of benchmarks/against.py: a process that takes training steps with the checkout on its path, when asked.

A request is a line of JSON on the standard input, {"row": ..., "steps": k} or {"row": ..., "memory": k}; the answer a
line on the standard output: the seconds of each of k steps of `mp.fit`, a worker a core, or the MiB that k of them add
to this process at their peak. A row's model is built when it is first asked for, and stays.
"""

import contextlib
import functools
import json
import sys

import accounts
import training_models
from against_models import ROWS

import minipixel as mp


@functools.cache
def steps_of(name, k, side=None):
    """A function that takes k steps of a row and returns the seconds of each."""
    row, (model, optimizer) = ROWS[name], built(name, side)
    images, condition = row.data(model, k * row.batch)
    return lambda: training_models.fit(model, images, row.batch, optimizer, condition=condition).tolist()


@functools.cache
def built(name, side):
    """A row's model and its optimizer."""
    return ROWS[name].model(side), mp.optim.Adam()


def answer(request):
    """What was asked for."""
    if "steps" in request:
        return steps_of(request["row"], request["steps"])()
    steps_of(request["row"], request["memory"], side=8)()  # compiles, imports, sets up
    return accounts.peak_growth(steps_of(request["row"], request["memory"]))


def main():
    answers = sys.stdout
    print(json.dumps(mp.__file__), file=answers, flush=True)
    with contextlib.redirect_stdout(sys.stderr):
        for line in sys.stdin:
            print(json.dumps(answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
