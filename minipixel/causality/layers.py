"""The layer of a PyTorch model at which a leak is first seen, by hooks: the first output that moves where none may."""

from collections.abc import Callable
from typing import Any

import numpy as np


def first_moved(
    modules: list[Any],
    image_shape: tuple[int, int, int],
    N: int,
    before: Callable[[], object],
    after: Callable[[], object],
    place: int,
) -> str:
    """The name of the first layer, in the order in which they end, whose output moves at pixel `place`, or earlier.

    `before` and `after` run the modules on a batch of N images of (H, W, C) and on the changed one. With `place` -1 it
    is the first layer whose output moves for an image but the first. "" if none does, or if hooks are not to be had.
    Layers whose output has no axes of pixels are passed over.
    """
    import torch

    named: dict[int, str] = {}
    records: list[tuple[str, np.ndarray]] = []

    def note(layer: Any, arguments: Any, output: Any) -> None:
        tensors = output if isinstance(output, (tuple, list)) else [output]
        for tensor in tensors:
            if isinstance(tensor, torch.Tensor) and tensor.dim() > 1:
                numbers = tensor.detach().double().cpu().numpy() if tensor.is_floating_point() else tensor.cpu().numpy()
                records.append((named[id(layer)], numbers))

    handles, runs = [], []
    try:
        for module in modules:
            for name, layer in module.named_modules():
                if name and id(layer) not in named:
                    named[id(layer)] = f"{name!r} ({type(layer).__name__})"
                    handles.append(layer.register_forward_hook(note))
        for run in (before, after):
            records.clear()
            run()
            runs.append(list(records))
    except RuntimeError:  # scripts take no hooks
        return ""
    finally:
        for handle in handles:
            handle.remove()
    if [name for name, _ in runs[0]] != [name for name, _ in runs[1]]:
        return ""
    for (name, old), (_, new) in zip(*runs, strict=True):
        moved = (
            _by_pixel((old != new) & ~(np.isnan(old) & np.isnan(new)), image_shape, N)
            if old.shape == new.shape
            else None
        )
        if moved is not None and (moved[1:].any() if place < 0 else moved[:, : place + 1].any()):
            return name
    return ""


def _by_pixel(moved: np.ndarray, image_shape: tuple[int, int, int], N: int) -> np.ndarray | None:
    """Where the output of a layer moved: boolean, any shape with pixels in it -> (N, H * W); None if it has none."""
    H, W, _ = image_shape
    shape = moved.shape
    if shape[0] != N:
        if moved.ndim == 3 and shape[1] == N and shape[0] == H * W:  # a sequence first, its batch second
            return np.asarray(moved.any(axis=2).T)
        return None
    for at in range(1, moved.ndim - 1):
        if shape[at : at + 2] == (H, W):
            others = tuple(axis for axis in range(1, moved.ndim) if axis not in (at, at + 1))
            return np.asarray(moved.any(axis=others).reshape(N, -1))
    for at in range(1, moved.ndim):
        if shape[at] == H * W:
            return np.asarray(moved.any(axis=tuple(axis for axis in range(1, moved.ndim) if axis != at)))
    return None
