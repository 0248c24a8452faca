"""Tensors of a single number, such as a loss, can be used as numbers by Python and NumPy."""

from typing import Any

import numpy as np


class SingleNumber:
    """A base class for objects with `data`, an array, and `op`, a name; used as a number, it has no gradient."""

    __slots__ = ()
    data: Any
    op: Any

    def item(self) -> Any:
        """The single number as a plain Python number, without gradients. Raises TypeError for several numbers."""
        if self.data.size != 1:
            raise TypeError(
                f"{self.op}: got a Tensor of shape {self.data.shape} as a number, wanted one of a single number; "
                "ops.mean(x) or ops.total(x) make one of it, x.data has its values"
            )
        return self.data.item()

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __bool__(self) -> bool:
        return bool(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    def __lt__(self, other: Any) -> bool:
        return self.item() < _plain(other)

    def __le__(self, other: Any) -> bool:
        return self.item() <= _plain(other)

    def __gt__(self, other: Any) -> bool:
        return self.item() > _plain(other)

    def __ge__(self, other: Any) -> bool:
        return self.item() >= _plain(other)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        """A single number as a NumPy array, so that np.mean([loss]) works. Raises TypeError for several numbers.

        Otherwise an array would lose its gradient without a warning.
        """
        return np.asarray(self.item(), dtype or self.data.dtype)


def _plain(other: Any) -> Any:
    """The single number of a Tensor, or any other value as it is, for comparisons."""
    return other.item() if isinstance(other, SingleNumber) else other
