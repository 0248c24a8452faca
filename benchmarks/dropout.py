"""What a drawn number costs where it is needed, beside one that was drawn before and is read: ns per number.

Run: python benchmarks/dropout.py
Rows of 28 pixels of 8 images, one thread, float32; medians of 300 runs that take turns. "in place" is what a plan does,
"stored" a loop that reads a boolean for each number, "drawing it" what makes these booleans beforehand.
"""

import time

import numpy as np

from minipixel.draws import Draws, threshold_of
from minipixel.kernels.jit import jit
from minipixel.kernels.philox import dropped
from minipixel.kernels.rows import ZERO, U

PIXELS, N, RATE = 28, 8, 0.5


@jit
def read(x, kept, y, scale):
    for i in range(U(x.size)):
        y[i] = x[i] * scale if kept[i] else ZERO


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main():
    scale, threshold, key = np.float32(1 / (1 - RATE)), threshold_of(RATE), np.array([1, 2], np.uint32)
    draws = Draws(key)
    print(f"{'K':>4}{'in place':>10}{'to another':>12}{'stored':>9}{'drawing it':>12}")
    for K in (6, 16, 32, 64, 128):
        n = PIXELS * N * K
        x, y, stored = np.ones(n, np.float32), np.ones(n, np.float32), np.ones(n, bool)
        size = 0, PIXELS, N, K, 0, 0, 0, key, threshold
        calls = [
            lambda x=x, size=size: dropped(x, 0, x, *size, np.float32(1)),
            lambda x=x, y=y, size=size: dropped(x, 0, y, *size, scale),
            lambda x=x, y=y, stored=stored: read(x, stored, y, scale),
            lambda shape=(1, PIXELS, N, K): draws.keep(RATE, shape),
        ]
        for call in calls:
            call()
        found = np.median([[seconds(call) for call in calls] for _ in range(300)], axis=0) / n * 1e9
        print("{:>4}{:10.2f}{:12.2f}{:9.2f}{:12.2f}".format(K, *found))


if __name__ == "__main__":
    main()
