"""`minipixel warmup`: compile now what training and sampling need, so that no first step has to wait for it."""

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from minipixel.heads import HEADS
from minipixel.kernels import as_written, compiling, numba_enabled
from minipixel.models import DiagonalBiLSTM, PixelCNN
from minipixel.training import fit


def warmup(arguments: argparse.Namespace) -> int:
    """Train and draw with tiny models, since compiled code depends on the kinds of arrays and not on their sizes."""
    if not numba_enabled():
        raise ValueError(
            "warmup: got no Numba to compile with, wanted it installed, and neither MINIPIXEL_NUMBA=0 "
            "nor NUMBA_DISABLE_JIT=1"
        )
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "kernel cache: ")  # that something is not kept is said below
        for name, work in _works():
            start = time.perf_counter()
            work()
            print(f"{name:24} {time.perf_counter() - start:6.1f} s")
    print(f"{'in all':24} {time.perf_counter() - began:6.1f} s")
    folders, failures = compiling.kept()
    if failures:
        raise ValueError(f"warmup: {len(failures)} of the kernels will be compiled again; {failures[0]}")
    print(f"kept in {', '.join(folders)}, until minipixel or Numba changes")
    return 0


def _works() -> Iterator[tuple[str, Callable[[], None]]]:
    """The work that compiles everything, by name, once for each dtype.

    The loops of plans and samplers are the same for all models, so one model for each head is enough, and one that runs
    as it is written.
    """
    for dtype in ("float32", "float64"):
        for head in HEADS:
            yield f"{dtype}, {head}", partial(_train_and_draw, head, dtype)
        yield f"{dtype}, as written", partial(_as_written, dtype)


def _train_and_draw(head: str, dtype: str) -> None:
    model = PixelCNN((8, 8, 1), 2 if head == "bernoulli" else 4, hidden=4, blocks=1, head=head, dtype=dtype)
    fit(model, np.zeros((2, 8, 8, 1), np.uint8), epochs=1, progress=False)
    model.sample(2)


def _as_written(dtype: str) -> None:
    """Run what runs while a model is traced, or without a plan: convolutions, skewed maps and dropout."""
    images = np.zeros((2, 8, 8, 1), np.uint8)
    with as_written():
        for model in PixelCNN((8, 8, 1), 2, dropout=0.5, dtype=dtype), DiagonalBiLSTM((8, 8, 1), 2, dtype=dtype):
            model.loss(images, rng=0).backward()
