"""What a model may be told beforehand: nothing, a class, a vector, or a map of the image's size."""

from typing import Any

import numpy as np

from minipixel.models.arrays import as_array
from minipixel.models.checks import check_count, check_labels
from minipixel.shown import short


class Conditions:
    """The kind of condition that a model takes: it checks them, and makes numbers of them.

    `num_classes`: labels, integers (N,) in 0..num_classes-1. `shape` (K,): vectors (N, K); `shape` (): one number an
    image, (N,); `shape` (H, W, K): maps (N, H, W, K), of the size of the images. Neither: the model takes no condition.
    `dtype` is the model's, in which they have to be finite. `width` is how many numbers a pixel is told: `num_classes`,
    or K, or 1, or 0.
    """

    def __init__(self, num_classes: Any, shape: Any, image_shape: tuple[int, int, int], dtype: str) -> None:
        if num_classes is not None and shape is not None:
            raise ValueError(
                f"condition_shape: got {short(shape)} beside num_classes={short(num_classes)}, wanted one of the two"
            )
        self.num_classes = None if num_classes is None else check_count("num_classes", num_classes, 1)
        self.shape = None if shape is None else _check_shape(shape, image_shape)
        self.dtype = dtype
        self.width = self.num_classes or (0 if self.shape is None else (1, *self.shape)[-1])

    def checked(self, condition: Any, N: int) -> np.ndarray | None:
        """The conditions of N images as a host array, a row an image; ValueError if they are not of the kind taken.

        A single one, without the axis of images, is that of all N. Labels may also be a column (N, 1), or whole floats.
        """
        if not self.width:
            if condition is not None:
                raise ValueError(
                    "condition: got one, wanted None; this model was made without conditions: give it num_classes= or "
                    "condition_shape="
                )
            return None
        if condition is None:
            raise ValueError(f"condition: got None, wanted {self.describe(N)}")
        condition, event = as_array("condition", condition), self.shape or ()
        if condition.shape == event:
            condition = np.broadcast_to(condition, (N, *event))
        if self.num_classes:
            condition = check_labels(condition, N, "condition", self.describe(N))
            if condition.min() < 0 or condition.max() >= self.num_classes:
                hint = "; labels count from 0" if condition.min() > 0 and condition.max() == self.num_classes else ""
                got = f"{condition.min()}..{condition.max()}"
                raise ValueError(f"condition: got labels {got}, wanted 0..{self.num_classes - 1}{hint}")
            return condition
        if condition.shape != (N, *event) or condition.dtype.kind not in "iuf":
            hint = "; channels go last" if condition.shape == (N, *event[-1:], *event[:-1]) and len(event) == 3 else ""
            raise ValueError(
                f"condition: got {condition.dtype} of shape {condition.shape}, wanted {self.describe(N)}{hint}"
            )
        with np.errstate(over="ignore"):
            told = condition.astype(self.dtype)
        if not np.isfinite(told).all():
            odd = condition[~np.isfinite(told)].flat[0]
            raise ValueError(f"condition: got {odd}, wanted finite numbers, in {self.dtype} too, as the model has them")
        return condition

    def pixels_first(self, condition: np.ndarray | None, xp: Any, dtype: str) -> Any:
        """Checked conditions as layers want them: None, or (1, 1, N, width), or (H, W, N, width) for maps."""
        if condition is None:
            return None
        if self.num_classes:
            condition = condition[:, None] == np.arange(self.num_classes)
        if condition.ndim == 1:
            condition = condition[:, None]
        if condition.ndim == 2:
            condition = condition[:, None, None]
        return xp.asarray(np.ascontiguousarray(condition.transpose(1, 2, 0, 3), dtype))

    def random(self, N: int, rng: np.random.Generator) -> np.ndarray | None:
        """Conditions of N images, of the kind taken, drawn at random: for checks and tests."""
        if self.num_classes:
            return rng.integers(self.num_classes, size=N)
        return rng.standard_normal((N, *self.shape)) if self.shape is not None else None

    def in_turn(self, N: int) -> np.ndarray | None:
        """Labels of N images, all classes in turn: (N,); None for a model without classes."""
        return np.arange(N) % self.num_classes if self.num_classes else None

    def describe(self, N: int) -> str:
        """What N conditions should look like, in words."""
        if self.num_classes:
            return f"{N} labels, integers (N,) in 0..{self.num_classes - 1}"
        return f"numbers of shape {(N, *(self.shape or ()))}, one row an image"

    def __repr__(self) -> str:
        if self.num_classes:
            return f"Conditions(num_classes={self.num_classes})"
        return f"Conditions(shape={self.shape})"


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
