"""Kernel overrides against their references, side by side: the measurement that admits an override.

Run: python benchmarks/kernels.py
Both bodies take turns on the same data, one thread, float32; medians of 60 runs, after a warm-up that compiles.
"""

import time

import numpy as np
import threadpoolctl

from minipixel.kernels import KERNELS
from minipixel.kernels.taps import open_taps
from minipixel.nn import causal_mask, colour_groups


def taps(size, kind):
    one = colour_groups(1, 1)
    return open_taps(causal_mask((size, size), one, one, kind))


MAPS = [  # (H, N, K), taps: shards as training cuts them
    ("28x28, N 8, K 1, 7x7 A", (28, 8, 1), taps(7, "A")),
    ("28x28, N 8, K 16, 3x3 B", (28, 8, 16), taps(3, "B")),
    ("28x28, N 4, K 32, 3x3 B", (28, 4, 32), taps(3, "B")),
    ("8x8, N 16, K 1, 7x7 A", (8, 16, 1), taps(7, "A")),
    ("8x8, N 16, K 32, 3x3 B", (8, 16, 32), taps(3, "B")),
    ("16x16, N 8, K 3, 7x7 A", (16, 8, 3), taps(7, "A")),
]

SKEWED = [  # H, N, K: the gates of a Diagonal BiLSTM, and its states
    (28, 8, 64),
    (28, 8, 16),
    (28, 4, 16),
    (8, 16, 16),
    (28, 16, 128),
]
LAYOUTS = {  # what is given, out of a map that is one column wider and has twice the images and features
    "contiguous": lambda x: np.ascontiguousarray(x[:, 1:, ::2, ::2]),
    "mirrored": lambda x: np.ascontiguousarray(x[:, 1:, ::2, ::2])[:, ::-1],
    "a column less": lambda x: np.ascontiguousarray(x[:, :, ::2, ::2])[:, :-1],
    "half of the features": lambda x: np.ascontiguousarray(x[:, 1:, ::2])[..., : x.shape[3] // 2],
    "half of the images": lambda x: np.ascontiguousarray(x[:, 1:, :, ::2])[:, :, : x.shape[2] // 2],
    "images first": lambda x: np.ascontiguousarray(x[:, 1:, ::2, ::2].transpose(2, 0, 1, 3)).transpose(1, 2, 0, 3),
    "every other feature": lambda x: x[:, 1:, ::2, ::2],
}


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def compare(kernel, *arguments, runs=60):
    """Median microseconds of the reference and of the override, and the median of their ratios."""
    bodies = kernel.reference, kernel.override
    for body in bodies:
        body(*arguments)
    times = np.array([[seconds(lambda body=body: body(*arguments)) for body in bodies] for _ in range(runs)]) * 1e6
    return *np.median(times, axis=0), np.median(times[:, 0] / times[:, 1])


def show(name, kernel, *arguments):
    reference, override, ratio = compare(kernel, *arguments)
    print(f"{name:42}{kernel.__name__:8}{reference:14.1f}{override:13.1f}{ratio:7.2f}")


def main():
    rng = np.random.default_rng(0)
    print(f"{'map, taps or layout':42}{'kernel':8}{'reference us':>14}{'override us':>13}{'ratio':>7}")
    with threadpoolctl.threadpool_limits(1):
        for name, (H, N, K), open_ in MAPS:
            show(name, KERNELS["im2col"], rng.standard_normal((H, H, N, K), np.float32), open_)
            show(name, KERNELS["col2im"], rng.standard_normal((H, H, N, len(open_) * K), np.float32), open_, K)
        for H, N, K in SKEWED:
            for layout, view in LAYOUTS.items():
                for kernel, rows, columns in (("skew", H, H), ("unskew", 2 * H - 1, H)):
                    x = view(rng.standard_normal((rows, columns + 1, 2 * N, 2 * K), np.float32))
                    show(f"{H}x{H}, N {N}, K {K}, {layout}", KERNELS[kernel], x)


if __name__ == "__main__":
    main()
