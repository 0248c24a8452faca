"""The first layer of a PyTorch model at which a leak shows, found by hooks on all layers.

A layer's features may depend on their own pixel without a mistake, if a later layer shifts them. So a layer is named
only if the leak changes when its output is replaced by the output for the unchanged image. If the whole leak passes
through a layer whose own output is correct, the mistake lies behind that layer, and none before it is named.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

KEPT = 2
"""How many images of the batch are looked at."""
TRIED = 16
"""How many layers are put back at the most, one after the other."""
SLACK = 4
"""So many last bits of the largest number in a layer may move by rounding alone."""


@dataclass
class Record:
    """The output of a layer: the layer's name, the numbers, and the axes of images and of pixels, if there are any."""

    name: str
    numbers: Any
    axes: tuple[int, ...] | None = None

    def moved(self, other: "Record", until: int | None = None) -> bool:
        """Whether it differs from another output by more than rounding, at pixels up to `until` if that is given."""
        old, new = self.numbers, other.numbers
        if until is not None:
            old, new = (_flat(each, self.axes)[:, : until + 1] for each in (old, new))
        different = (old != new) & ~((old != old) & (new != new))
        if not old.is_floating_point() or not different.any():
            return bool(different.any())
        import torch

        apart = (old - new).abs().nan_to_num(torch.inf)[different].max()
        size = old[old.isfinite()].abs().max() if old.isfinite().any() else 0
        return bool(apart > SLACK * torch.finfo(old.dtype).eps * size)


def first_moved(
    modules: list[Any],
    image_shape: tuple[int, int, int],
    N: int,
    before: Callable[[], np.ndarray],
    after: Callable[[], np.ndarray],
    place: int,
) -> str:
    """The name of the first layer, in the order in which they end, whose output moves at pixel `place`, or earlier.

    `before` and `after` run the modules on a batch of N images of (H, W, C) and on the changed one, and return the
    parameters (n, H, W, P). With `place` -1 it is the first layer whose output moves for an image other than the first.
    The name is "" if there is no such layer, or if hooks do not work. Layers whose output has no axes of pixels are
    left out.
    """
    H, W, _ = image_shape
    hooks = Hooks(modules, (H, W), N)
    try:
        old = hooks.run(before)
        first = hooks.records
        new = hooks.run(after)
        second = hooks.records
        if [record.name for record in first] != [record.name for record in second]:
            return ""
        pairs = [(k, *pair) for k, pair in enumerate(zip(first, second, strict=True))]
        pairs = [pair for pair in pairs if pair[1].numbers.shape == pair[2].numbers.shape]
        if place < 0:
            return next((a.name for _, a, b in pairs if _of_others(a).moved(_of_others(b))), "")

        def leaks(output: np.ndarray) -> np.ndarray:
            return output[:KEPT].reshape(len(output[:KEPT]), H * W, -1)[:, place]

        def put_back(k: int, until: int) -> np.ndarray:
            return leaks(hooks.run(after, (k, first[k], until)))

        right, wrong = leaks(old), leaks(new)
        early = [k for k, a, b in pairs if a.axes and a.moved(b, place)]
        if not early or np.array_equal(right, wrong, equal_nan=True):
            return ""
        clean = [k for k, a, b in pairs if a.axes and k < early[-1] and k not in early and a.moved(b)]
        for k in clean[::-1][:TRIED]:
            if np.array_equal(put_back(k, H * W - 1), right, equal_nan=True):
                early = [each for each in early if each > k]
                break
        for k in early[:TRIED]:
            if not np.array_equal(put_back(k, place), wrong, equal_nan=True):
                return first[k].name
        return ""
    except Exception:  # no name is better than no report: somebody's own code runs here, and meets tensors put back
        return ""
    finally:
        hooks.remove()


class Hooks:
    """Hooks on all layers, which record the layers' outputs, and can replace one of them by an earlier output."""

    def __init__(self, modules: list[Any], size: tuple[int, int], N: int) -> None:
        self.size, self.N = size, N
        self.records: list[Record] = []
        self.back: tuple[int, Record, int] | None = None
        self.names: dict[int, str] = {}
        self.handles = []
        try:
            for module in modules:
                for name, layer in module.named_modules():
                    if id(layer) not in self.names:
                        kind = type(layer).__name__
                        self.names[id(layer)] = f"{name!r} ({kind})" if name else f"the forward pass of {kind}"
                        self.handles.append(layer.register_forward_hook(self.note))
        except RuntimeError:  # scripts take no hooks
            self.remove()

    def remove(self) -> None:
        """Remove all hooks."""
        for handle in self.handles:
            handle.remove()

    def run(self, call: Callable[[], np.ndarray], back: tuple[int, Record, int] | None = None) -> np.ndarray:
        """Run the modules. With `back` the output of one layer is replaced by an earlier record, up to a pixel."""
        self.records, self.back = [], back
        return call()

    def note(self, layer: Any, arguments: Any, output: Any) -> Any:
        """The hook that a layer calls with its output; the result replaces the output if it is not None."""
        import torch

        parts = list(output) if isinstance(output, (tuple, list)) else [output]
        for n, tensor in enumerate(parts):
            if not isinstance(tensor, torch.Tensor) or tensor.dim() < 2:
                continue
            axes = _axes(tuple(tensor.shape), self.size, self.N, layer)
            if self.back is not None and self.back[0] == len(self.records):
                parts[n] = tensor = self._put_back(tensor, axes)
            images = tensor.movedim(axes[0], 0) if axes else tensor
            kept = images[:KEPT].detach().clone() if images.shape[0] == self.N else images.detach()[:0]
            self.records.append(Record(self.names[id(layer)], kept, axes))
        if self.back is None:
            return None
        same = type(output)
        return parts[0] if not isinstance(output, (tuple, list)) else same(parts) if same in (tuple, list) else output

    def _put_back(self, tensor: Any, axes: tuple[int, ...] | None) -> Any:
        assert self.back is not None
        _, record, until = self.back
        other = tensor.detach().clone()
        if axes:
            flat = _flat(record.numbers, axes)
            view = other.movedim(axes, tuple(range(len(axes))))
            places = np.unravel_index(np.arange(until + 1), tuple(tensor.shape[axis] for axis in axes[1:]))
            view[(slice(len(flat)), *places)] = flat[:, : until + 1]
        return other


def _of_others(record: Record) -> Record:
    """The numbers of all images but the first."""
    return Record(record.name, record.numbers[1:])


def _flat(numbers: Any, axes: tuple[int, ...] | None) -> Any:
    """The recorded numbers of a layer, images first -> (n, pixels, the rest)."""
    assert axes is not None
    behind = [axis + (axis < axes[0]) for axis in axes[1:]]  # the axis of images was moved to the front
    return numbers.movedim(behind, tuple(range(1, len(axes)))).flatten(1, len(axes) - 1)


CHANNELS_SECOND = ("Conv", "BatchNorm", "InstanceNorm", "GroupNorm", "Pool", "Dropout2d", "PixelShuffle", "Upsample")
FEATURES_LAST = ("Linear", "LayerNorm", "Embedding", "Attention", "Transformer", "LSTM", "GRU", "RNN")


def _axes(shape: tuple[int, ...], size: tuple[int, int], N: int, layer: Any) -> tuple[int, ...] | None:
    """The axes of images and pixels in the output of a layer: (images, rows, columns), or (images, pixels in a line).

    None if it has none, or if more than one reading is possible and the kind of layer does not say which.
    """
    H, W = size
    ndim = len(shape)
    kinds = [kind.__name__ for kind in type(layer).__mro__]
    features_last = any(word in kind for kind in kinds for word in FEATURES_LAST)
    channels_second = any(word in kind for kind in kinds for word in CHANNELS_SECOND)
    found: list[tuple[int, ...]] = []
    if shape[0] == N and ndim > 3:
        found += [(0, at, at + 1) for at in range(1, ndim - 1) if shape[at : at + 2] == (H, W)]
    elif ndim == 3:
        found += [(0, at) for at in (1, 2) if shape[0] == N and shape[at] == H * W]
        if shape[:2] == (H * W, N) and (shape[0] != N or getattr(layer, "batch_first", True) is False):
            found = [(1, 0)]
    if len(found) > 1 and (features_last or channels_second):
        found = [axes for axes in found if (axes[1] > 1) == channels_second and (axes[-1] == ndim - 1) != features_last]
    return found[0] if len(found) == 1 else None
