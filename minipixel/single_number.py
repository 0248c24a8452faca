"""What a Tensor of a single number, such as a loss, is to Python and to NumPy: a number."""

from typing import Any

import numpy as np


class SingleNumber:
    """Something with `data`, an array, and `op`, a name; as a number it leaves the tape."""

    __slots__ = ()
    data: Any
    op: Any

    def item(self) -> Any:
        """The single number that it holds, as a plain Python number, which no gradient reaches."""
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
        """What NumPy makes of a single number, so that np.mean([loss]) is one; of anything else, an error.

        An array would leave the tape without a word.
        """
        return np.asarray(self.item(), dtype or self.data.dtype)


def _plain(other: Any) -> Any:
    """What a number is compared with: a Tensor's own single number, or what it is."""
    return other.item() if isinstance(other, SingleNumber) else other
