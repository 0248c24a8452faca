"""Matrix products as kernels/blas.py cuts them, beside the same in one call of SciPy's BLAS, and beside PyTorch's.

Run: python benchmarks/products.py          one thread, float32; GFLOP/s, and how many times as fast as in one call

A row of a map is R pixels, of all images of a shard, with K_in channels; a layer multiplies it by (K_in, K_out). On the
way back x' g, which is a sum over the R pixels, becomes the gradient of the weight. The shapes are those of models as
the papers have them, and of small ones. OpenBLAS takes a product of a million multiplications or fewer as it is, and
copies the factors of a larger one into blocks first: so blas.py cuts larger ones into several that are small enough.

All take turns; medians of their rates, and of the ratios within a turn. Ours are called from a compiled loop, as they
are in the walker; PyTorch's by `torch.addmm(..., out=)` from Python, which takes it a microsecond or two a call.
"""

import argparse
import time

import numba
import numpy as np
import threadpoolctl

from minipixel.kernels.blas import _gemm, add_weight_gradient, constants, gemm

try:
    import torch
except ImportError:
    torch = None

SHAPES = {
    "PixelCNN, 16 hidden": [(224, 32, 16), (224, 16, 16), (224, 16, 32)],
    "PixelCNN, 32 hidden": [(224, 64, 32), (224, 32, 32), (784, 32, 64)],
    "PixelCNN, 128 hidden": [(112, 256, 128), (112, 128, 128), (112, 128, 256), (56, 128, 128)],
    "Gated PixelCNN, 96 filters": [(224, 192, 96), (112, 96, 192)],
    "PixelCNN++, 96 filters": [(128, 192, 96), (128, 192, 192)],
    "PixelCNN++, 160 filters": [(128, 320, 160), (256, 160, 160), (128, 320, 320)],
}
"""By model: products (R, K_in, K_out)."""


@numba.njit(nogil=True)
def cut(R, K_in, K_out, x, w, y, times):
    blas = constants(x)
    for _ in range(times):
        gemm(R, K_out, K_in, x, 0, False, w, 0, y, 0, True, blas)


@numba.njit(nogil=True)
def in_one_call(R, K_in, K_out, x, w, y, times):
    blas = constants(x)
    for _ in range(times):
        _gemm(R, K_out, K_in, x, 0, False, w, 0, y, 0, True, blas)


@numba.njit(nogil=True)
def sum_cut(R, K_in, K_out, x, g, weight_g, times):
    blas = constants(x)
    for _ in range(times):
        add_weight_gradient(R, K_in, K_out, x, 0, g, 0, weight_g, 0, blas)


@numba.njit(nogil=True)
def sum_in_one_call(R, K_in, K_out, x, g, weight_g, times):
    blas = constants(x)
    for _ in range(times):
        _gemm(K_in, K_out, R, x, 0, True, g, 0, weight_g, 0, True, blas)


def by_torch(a, b, y):
    """y += a b, by PyTorch, on the same memory; a may be turned."""
    a, b, y = map(torch.from_numpy, (a, b, y))

    def run(times):
        for _ in range(times):
            torch.addmm(y, a, b, out=y)

    return run


def contestants(R, K_in, K_out, of_weights):
    """By name, functions that compute a product some times over; checked to compute the same."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((R, K_in), np.float32)
    b = rng.standard_normal((R, K_out) if of_weights else (K_in, K_out), np.float32)
    a = x.T if of_weights else x
    wanted = a.astype(float) @ b
    runs = {}

    def compete(name, run, y):
        run(1)
        if (apart := np.abs(y - wanted).max() / np.abs(wanted).max()) > 1e-5:
            raise ValueError(f"{name}: got numbers {apart:.1e} apart, wanted the product of {a.shape} and {b.shape}")
        runs[name] = run

    def ours(function):
        y = np.zeros(wanted.shape, np.float32)
        flat = x.ravel(), b.ravel(), y.reshape(-1)
        return lambda times: function(R, K_in, K_out, *flat, times), y

    compete("in one call", *ours(sum_in_one_call if of_weights else in_one_call))
    compete("as cut", *ours(sum_cut if of_weights else cut))
    if torch is not None:
        y = np.zeros(wanted.shape, np.float32)
        compete("PyTorch", by_torch(a, b, y), y)
    return runs


def turns(runs, times, rounds):
    """Seconds of a product, (rounds, contestants); each round begins with another one."""
    found, all_runs = np.empty((rounds, len(runs))), list(runs.values())
    for r in range(rounds):
        for i in range(len(runs)):
            who = (r + i) % len(runs)
            all_runs[who](2)  # its factors at hand
            start = time.perf_counter()
            all_runs[who](times)
            found[r, who] = (time.perf_counter() - start) / times
    return found


def main():
    parser = argparse.ArgumentParser(description="Products as they are cut, in one call, and PyTorch's.")
    parser.add_argument("--rounds", type=int, default=61)
    parser.add_argument("--models", nargs="+", choices=SHAPES, default=list(SHAPES), metavar="model")
    options = parser.parse_args()
    if torch is not None:
        torch.set_num_threads(1)
    ratios = []
    with threadpoolctl.threadpool_limits(1):
        for title in options.models:
            for shape in SHAPES[title]:
                for of_weights in (False, True):
                    runs, flop = contestants(*shape, of_weights), 2 * np.prod(shape)
                    found = turns(runs, max(4, int(1e8 / flop)), options.rounds)
                    rates, ratio = flop / np.median(found, axis=0) / 1e9, np.median(found[:, :1] / found, axis=0)
                    if not ratios:
                        names = "".join(f"{name:>12}" for name in runs) + "".join(f"{name:>10}" for name in [*runs][1:])
                        print(f"{'R, K_in, K_out':40}{names}    GFLOP/s, and times as fast as in one call")
                    ratios.append(ratio)
                    text = f"{title if not of_weights else '':28}{'x g' if of_weights else 'x w'} {shape!s:16}"
                    text += "".join(f"{rate:12.0f}" for rate in rates) + "".join(f"{r:10.2f}" for r in ratio[1:])
                    print(text, flush=True)
    print(f"geometric mean{'':60}" + "".join(f"{r:10.2f}" for r in np.exp(np.log(ratios).mean(axis=0))[1:]))


if __name__ == "__main__":
    main()
