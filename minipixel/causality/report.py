"""What a check of causality found, in numbers and in sentences."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

COLOURS = {1: ("",), 3: (" red", " green", " blue")}


@dataclass(frozen=True)
class CausalityReport:
    """Leaks (an output depends on itself or on something later) and blind spots (it never sees something earlier).

    `dependencies` is boolean (S, S), S = H*W*C sub-pixels in raster order; `order` (H, W, C) is the place in line of
    each. `leaks` and `blind` list pairs of positions: integers (pairs, 2, 3), the output's (r, c, channel) first.
    """

    name: str
    order: np.ndarray
    dependencies: np.ndarray

    @property
    def ok(self) -> bool:
        """Whether nothing leaks. Blind spots make a model weaker, not wrong."""
        return len(self.leaks) == 0

    @cached_property
    def leaks(self) -> np.ndarray:
        """The pairs in which the output depends on itself or on a later sub-pixel."""
        return self._pairs(self.dependencies & ~self._earlier)

    @cached_property
    def blind(self) -> np.ndarray:
        """The pairs in which the output never sees an earlier sub-pixel."""
        return self._pairs(~self.dependencies & self._earlier)

    @cached_property
    def _earlier(self) -> np.ndarray:
        """[i, j]: whether sub-pixel j is drawn before sub-pixel i."""
        place = self.order.ravel()
        return place[None, :] < place[:, None]

    def _pairs(self, matrix: np.ndarray) -> np.ndarray:
        return np.stack(np.unravel_index(np.argwhere(matrix), self.order.shape), axis=-1)

    def describe(self, position: np.ndarray) -> str:
        """A sub-pixel in words: "(3, 5) green"."""
        r, c, channel = (int(i) for i in position)
        return f"({r}, {c}){COLOURS[self.order.shape[2]][channel]}"

    def __str__(self) -> str:
        earlier = int(self._earlier.sum())
        if not self.ok:
            output, read = self.leaks[0]
            verdict = f"{len(self.leaks):,} leaks, the first: {self.describe(output)} depends on {self.describe(read)}"
        else:
            verdict = "causal, no output depends on itself or on anything later"
        blind = f"blind to {len(self.blind):,} of {earlier:,} earlier pairs"
        return f"{self.name}: {verdict}; {blind if len(self.blind) else 'sees its whole past'}"
