"""Conditions: what a model knows before it draws. That is nothing, a class, a vector, a map, or a class and a map."""

from typing import Any

import numpy as np

from minipixel.models.arrays import as_array, what
from minipixel.models.checks import check_count, check_labels
from minipixel.shown import short


class Conditions:
    """The kind of conditions that a model takes. It checks them, and turns them into numbers for the layers.

    With `num_classes` a condition is a label: integers (N,) in 0..num_classes-1. With the `shape` (K,) conditions are
    vectors (N, K); with () one number per image, (N,); with (H, W, K) maps (N, H, W, K) of the size of the images. With
    both, a condition is a pair, such as (labels, maps); with neither, the model takes no condition. `dtype` is that of
    the model, and conditions must be finite in it.
    `width` is the number of condition values per pixel: `num_classes`, plus K or 1 where there is a shape.
    """

    def __init__(self, num_classes: Any, shape: Any, image_shape: tuple[int, int, int], dtype: str) -> None:
        self.num_classes = None if num_classes is None else check_count("num_classes", num_classes, 1)
        self.shape = None if shape is None else _check_shape(shape, image_shape)
        self.dtype = dtype
        self.width = (self.num_classes or 0) + (0 if self.shape is None else (1, *self.shape)[-1])

    @property
    def both(self) -> bool:
        """Whether a condition is a pair: labels, and numbers."""
        return bool(self.num_classes) and self.shape is not None

    def checked(self, condition: Any, N: int) -> Any:
        """The conditions of N images as a host array with one row per image. Raises ValueError for another kind.

        A single condition, without the axis of images, stands for all N. Labels may also be a column (N, 1), or floats
        that are whole numbers. If the model takes labels and numbers, the result is a pair of such arrays.
        """
        if not self.width:
            if condition is not None:
                raise ValueError(
                    "condition: got one, wanted None, since this model takes no condition; make one with num_classes= "
                    "or condition_shape="
                )
            return None
        if condition is None:
            raise ValueError(f"condition: got None, wanted {self.describe(N)}")
        if self.both:
            labels, numbers = self._pair(condition, N)
            return self._checked_labels(labels, N, "condition[0]"), self._checked_numbers(numbers, N, "condition[1]")
        return self._checked_labels(condition, N) if self.num_classes else self._checked_numbers(condition, N)

    def _pair(self, condition: Any, N: int) -> tuple[Any, Any]:
        """The labels and the numbers of a pair. Raises ValueError for anything else."""
        if not isinstance(condition, (tuple, list)) or len(condition) != 2:
            some = f"{len(condition)} things" if isinstance(condition, (tuple, list)) else what(condition)
            raise ValueError(f"condition: got {some}, wanted a pair, {self.describe(N)}")
        return condition[0], condition[1]

    def _checked_labels(self, labels: Any, N: int, name: str = "condition") -> np.ndarray:
        assert self.num_classes is not None
        labels = as_array(name, labels)
        if labels.shape == ():
            labels = np.broadcast_to(labels, N)
        labels = check_labels(labels, N, name, self._describe_labels(N))
        if labels.min() < 0 or labels.max() >= self.num_classes:
            hint = "; labels count from 0" if labels.min() > 0 and labels.max() == self.num_classes else ""
            got = f"{labels.min()}..{labels.max()}"
            raise ValueError(f"{name}: got labels {got}, wanted 0..{self.num_classes - 1}{hint}")
        return labels

    def _checked_numbers(self, numbers: Any, N: int, name: str = "condition") -> np.ndarray:
        assert self.shape is not None
        numbers, event = as_array(name, numbers), self.shape
        if numbers.shape == event:
            numbers = np.broadcast_to(numbers, (N, *event))
        if numbers.shape != (N, *event) or numbers.dtype.kind not in "iuf":
            hint = "; channels go last" if numbers.shape == (N, *event[-1:], *event[:-1]) and len(event) == 3 else ""
            got = f"{numbers.dtype} of shape {numbers.shape}"
            raise ValueError(f"{name}: got {got}, wanted {self._describe_numbers(N)}{hint}")
        with np.errstate(over="ignore"):
            told = numbers.astype(self.dtype)
        if not np.isfinite(told).all():
            odd = numbers[~np.isfinite(told)].flat[0]
            raise ValueError(f"{name}: got {odd}, wanted finite numbers, in {self.dtype} too, as the model has them")
        return numbers

    def is_single(self, condition: Any) -> bool:
        """Whether it lacks the axis of images, and so stands for all images; in a pair, whether one of the two does."""
        pair = isinstance(condition, (tuple, list)) and len(condition) == 2
        if not self.width or condition is None or (self.both and not pair):
            return False
        parts = condition if self.both else (condition,)
        events = [*([()] if self.num_classes else []), *([] if self.shape is None else [self.shape])]
        return any(as_array("condition", part).shape == event for part, event in zip(parts, events, strict=True))

    def pixels_first(self, condition: Any, xp: Any, dtype: str) -> Any:
        """Checked conditions in the layout that layers read: None, (1, 1, N, width), or (H, W, N, width) for maps."""
        if condition is None:
            return None
        labels, numbers = condition if self.both else (condition, None) if self.num_classes else (None, condition)
        maps = []
        if numbers is not None:
            axes = numbers[:, None] if numbers.ndim == 1 else numbers
            maps.append((axes[:, None, None] if axes.ndim == 2 else axes).transpose(1, 2, 0, 3))
        if labels is not None and self.num_classes is not None:
            hot = (labels[:, None] == np.arange(self.num_classes))[None, None]
            size = maps[0].shape[:2] if maps else (1, 1)  # all pixels are told the label alike
            maps.insert(0, np.broadcast_to(hot, (*size, *hot.shape[2:])))
        return xp.asarray(np.ascontiguousarray(np.concatenate(maps, axis=3), dtype))

    def random(self, N: int, rng: np.random.Generator) -> Any:
        """Conditions of N images, of the model's kind, drawn at random: for checks and tests."""
        labels = rng.integers(self.num_classes, size=N) if self.num_classes else None
        numbers = None if self.shape is None else rng.standard_normal((N, *self.shape))
        return (labels, numbers) if self.both else labels if numbers is None else numbers

    def in_turn(self, N: int) -> np.ndarray | None:
        """The labels 0, 1, 2 ... of N images, all classes in turn: (N,). None unless the model takes labels alone."""
        return np.arange(N) % self.num_classes if self.num_classes and self.shape is None else None

    def describe(self, N: int) -> str:
        """The conditions of N images in words, for messages: what they are and their shape."""
        if self.both:
            return f"({self._describe_labels(N)}; {self._describe_numbers(N)})"
        return self._describe_labels(N) if self.num_classes else self._describe_numbers(N)

    def _describe_labels(self, N: int) -> str:
        assert self.num_classes is not None
        return f"{N} labels, integers (N,) in 0..{self.num_classes - 1}"

    def _describe_numbers(self, N: int) -> str:
        return f"numbers of shape {(N, *(self.shape or ()))}, one row per image"

    def __repr__(self) -> str:
        classes = [f"num_classes={self.num_classes}"] if self.num_classes else []
        numbers = [f"shape={self.shape}"] if self.shape is not None or not classes else []
        return f"Conditions({', '.join(classes + numbers)})"


def _check_shape(shape: Any, image_shape: tuple[int, int, int]) -> tuple[int, ...]:
    """A condition's shape: (K,), (), or (H, W, K) with the H and W of the images."""
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else (0,)
    whole = all(isinstance(size, (int, np.integer)) and not isinstance(size, bool) and size > 0 for size in sizes)
    if not whole or len(sizes) not in (0, 1, 3) or (len(sizes) == 3 and sizes[:2] != image_shape[:2]):
        H, W, _ = image_shape
        hint = f"; say ({shape},)" if isinstance(shape, int) and not isinstance(shape, bool) else ""
        raise ValueError(
            f"condition_shape: got {short(shape)}, wanted (K,) for vectors or ({H}, {W}, K) for maps{hint}"
        )
    check_count("condition_shape", (1, *sizes)[-1], 1)
    return tuple(int(size) for size in sizes)
