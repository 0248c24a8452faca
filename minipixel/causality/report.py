"""The class CausalityReport: the result of a check in numbers, in sentences and as a figure."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from minipixel.causality.causes import BATCH, usual_cause
from minipixel.causality.witnesses import Witness, earlier
from minipixel.shown import of_channel

UNDECIDED = (
    "nothing can be told, since no output moves, whatever is changed; check it with weights that are not zero, or with "
    "images of the kind that it takes, inputs="
)


# Without eq=False, == would compare arrays, which has no single answer.
@dataclass(frozen=True, eq=False, repr=False)
class CausalityReport:
    """The result of `check_causality`; `ok` is True if the model is causal, and `print(report)` explains the rest.

    It lists leaks, where an output depends on itself or on something later, and blind spots, where an output never
    depends on something earlier.

    `dependencies` is boolean (rows, S), S = H*W*C: it says whether the output of a row depends on a sub-pixel.
    `outputs` has the places of these outputs in raster order; normally they are all S. `order` (H, W, C) is the order
    of drawing, 0 for the first sub-pixel. `leaks` and `blind` list pairs of positions: integers (pairs, 2, 3), the
    output's (r, c, channel) first. `witnesses` say what was tried and seen.

    `batch_statistics` names layers at which an image depends on its batch in training mode, which is no leak.
    `undecided` is True if no output moved, whatever was changed, so that nothing is known. `illegal` is the largest
    change of an output that must not change, as a share of the largest legal change, and `rounding` is True if it is no
    more than rounding. `layer` is the first layer at which a leak shows, "" if unknown. `notes` say how the model's
    output was read. `axes` is the number of axes that an image has for the model; with one, positions are places in a
    sequence.
    """

    name: str
    order: np.ndarray
    dependencies: np.ndarray
    outputs: np.ndarray
    witnesses: tuple[Witness, ...] = ()
    axes: int = 3
    batch_statistics: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    undecided: bool = False
    illegal: float = 0.0
    rounding: bool = False
    layer: str = ""

    @property
    def ok(self) -> bool:
        """Whether no witness found a leak, and something moved. Blind spots make a model weaker, but not wrong."""
        refused = any(witness.holds is False for witness in self.witnesses)
        return len(self.leaks) == 0 and not refused and not self.undecided

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
        """[i, j]: whether sub-pixel j is drawn before the output of row i."""
        return earlier(self.order, self.outputs)

    def _pairs(self, matrix: np.ndarray) -> np.ndarray:
        rows, columns = np.nonzero(matrix)
        places = np.stack([self.outputs[rows], columns], axis=-1)
        return np.stack(np.unravel_index(places, self.order.shape), axis=-1)

    def describe(self, position: Sequence[int] | np.ndarray) -> str:
        """A sub-pixel in words: "(3, 5) green", or "place 7" of a sequence."""
        r, c, channel = (int(i) for i in position)
        return f"place {c}" if self.axes == 1 else f"({r}, {c}){of_channel(channel, self.order.shape[2])}"

    @property
    def why(self) -> str:
        """What is wrong and what usually causes it, in a sentence; "" if nothing is wrong."""
        refusing = {witness.name: witness for witness in self.witnesses if witness.holds is False}
        if len(self.leaks):
            output, read = self.leaks[0]
            itself = " (its own value)" if tuple(output) == tuple(read) else ", which is drawn later"
            several = f"; {len(self.leaks):,} such pairs in all" if len(self.leaks) > 1 else ""
            shaken = self._only_shaken(refusing)
            clock = f"; {refusing['clock'].line}" if "clock" in refusing else ""
            return (
                f"sub-pixel {self.describe(output)} depends on {self.describe(read)}{itself}{several}{shaken}{clock}"
                f"{self._seen_in()}; the usual cause: {self._cause()}"
            )
        if "batch" in refusing:
            return f"{refusing['batch'].line}{self._seen_in()}; the usual cause: {BATCH}"
        if refusing:
            return "; ".join(str(witness) for witness in refusing.values())
        return UNDECIDED if self.undecided else ""

    def _cause(self) -> str:
        cause = usual_cause(self.order, self.leaks, self.dependencies, self.outputs)
        if self.rounding:
            tolerance = 10 ** np.ceil(np.log10(self.illegal) + 1)
            return (
                f"rounding, as where sums cancel or an FFT is taken: what leaks is at most {self.illegal:.0e} of what "
                f"is legal, and tolerance={tolerance:.0e} allows for it; if it is there in float64 too: {cause}"
            )
        return cause

    def _seen_in(self) -> str:
        return f"; first seen in {self.layer}" if self.layer else ""

    @staticmethod
    def _only_shaken(refusing: dict[str, Witness]) -> str:
        """A remark if the present weights hide the leak, so that only changed weights show it."""
        return "; seen once the weights are shaken, in a copy" if list(refusing) == ["shaken"] else ""

    def plot(self, output: Sequence[int] | None = None) -> Any:
        """Three plots: the dependency matrix, what one output sees, and how much of its past each one sees -> Figure.

        `output` is the (r, c, channel) to show; by default it is one that leaks, or else one well inside the image.
        Raises ValueError for an output that was not checked.
        """
        from minipixel.causality import pictures

        return pictures.causality(self.order, self.dependencies, self.outputs, output)

    def __repr__(self) -> str:
        return f"CausalityReport of {str(self).partition(chr(10))[0]}"

    def _repr_html_(self) -> str:
        """What a notebook shows: the text, and the plot."""
        import base64
        import html

        from minipixel import plots

        picture = base64.b64encode(plots.png(self.plot())).decode() if len(self.outputs) else ""
        shown = f'<img src="data:image/png;base64,{picture}" alt="{html.escape(repr(self))}">' if picture else ""
        return f"<pre>{html.escape(str(self))}</pre>{shown}"

    def __str__(self) -> str:
        seen = int(self._earlier.sum())
        if len(self.leaks):
            output, read = self.leaks[0]
            verdict = f"{len(self.leaks):,} leaks, the first: {self.describe(output)} depends on {self.describe(read)}"
        elif not self.ok:
            verdict = self.why if self.undecided else f"not causal, {self.why}"
        elif self.batch_statistics:
            layers = ", ".join(self.batch_statistics)
            verdict = f"causal in evaluation; in training an image sees its batch, at {layers}"
        else:
            verdict = "causal, no output depends on itself or on anything later"
        blind = f"blind to {len(self.blind):,} of {seen:,} earlier pairs" if len(self.blind) else "sees its whole past"
        blind = blind if len(self.outputs) else "nothing more was tried"
        some = "" if len(self.outputs) == self.order.size else f" (of {len(self.outputs):,} outputs)"
        lines = [f"  {line}" for line in (*self.witnesses, *(f"note: {note}" for note in self.notes))]
        if len(self.leaks):
            lines.append(f"  why: {self.why}")
        return "\n".join([f"{self.name}: {verdict}; {blind}{some if len(self.outputs) else ''}", *lines])
