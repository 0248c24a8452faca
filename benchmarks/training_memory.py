"""What training steps add to the memory of a process at their peak, in MiB: ours, or the PyTorch twin's.

Run: python benchmarks/training_memory.py MODEL ours|contiguous_format|channels_last

benchmarks/training.py runs this in a fresh process for every figure. What is imported, compiled or set up once is there
beforehand, by a step on two images of 8x8; so are the model and its batch. The rest counts: feature maps, gradients,
what the optimiser remembers, and whatever workers keep for themselves.
"""

import subprocess
import sys

import accounts
from training_models import ROWS, fit, noise, ours

import minipixel as mp

STEPS = 3


def growth(row, whose):
    """MiB, in this process."""
    steps_of(row, whose, side=8, n=2)()
    return accounts.peak_growth(steps_of(row, whose, side=28, n=ROWS[row][2]))


def steps_of(row, whose, side, n):
    """A function that takes some training steps, each on n images of side x side."""
    model, images = ours(row, side), noise(row, STEPS * n, side)
    if whose == "ours":
        optimizer = mp.optim.Adam()
        return lambda: fit(model, images, n, optimizer)
    import torch_training  # ours are measured in a process that never heard of it

    step = torch_training.Step(model, images[:n], whose)
    return lambda: [step() for _ in range(STEPS)]


def in_fresh_process(row, whose):
    """MiB; None where the system keeps no such account."""
    if not accounts.KNOWN:
        return None
    found = subprocess.run([sys.executable, __file__, row, whose], check=True, capture_output=True, text=True)
    return float(found.stdout)


if __name__ == "__main__":
    print(growth(*sys.argv[1:]))
