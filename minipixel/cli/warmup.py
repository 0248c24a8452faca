"""`minipixel warmup`: compile what training and sampling need, now, so that no first step waits for it."""

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from minipixel.kernels import compiling, numba_enabled
from minipixel.models import MODELS, EmbeddingNet, Model
from minipixel.training import fit, fit_embedding


def warmup(arguments: argparse.Namespace) -> int:
    """Train and draw with a tiny model of every kind: compiled code goes by kinds of array, not by their sizes."""
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
    """By name, what to do so that everything is compiled."""
    for name, kind in MODELS.items():
        yield name, partial(_train_and_draw, kind, (8, 8, 1), 2)
        yield f"{name}, classes", partial(_train_and_draw, kind, (8, 8, 1), 2, num_classes=2)
    for head in ("categorical", "normal_mixture"):  # Bernoulli and logistic mixtures have had their turn
        yield f"pixelcnn, {head}", partial(_train_and_draw, MODELS["pixelcnn"], (8, 8, 3), 4, head=head)
    yield "embedding", _embed


def _train_and_draw(kind: Callable[..., Model], *arguments: Any, **options: Any) -> None:
    model = kind(*arguments, **options)
    images, labels = np.zeros((2, *model.image_shape), np.uint8), [0, 1] if "num_classes" in options else None
    fit(model, images, labels, epochs=1, progress=False)
    model.sample(2, labels)


def _embed() -> None:
    net = EmbeddingNet((8, 8, 1), 2)
    fit_embedding(net, np.zeros((4, *net.image_shape), np.uint8), [0, 0, 1, 1], steps=1, progress=False)
