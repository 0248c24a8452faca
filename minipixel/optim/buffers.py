"""The memories of an optimizer, such as mean gradients of each weight, in a few long arrays."""

from collections.abc import Mapping, Sequence
from typing import Any

from minipixel.backend import array_module, beside
from minipixel.nn.flat import Layout

State = dict[str, dict[str, Any]]
"""By the name of a weight, and by the kind of memory."""


class Buffers:
    """The arrays of a `State` as buffers of a layout (see nn/flat.py); the arrays in the state are views of these.

    The buffers stay from step to step, until there are other weights, weights on another device, or the user puts an
    array into the state.
    """

    def __init__(self) -> None:
        self._laid_out: tuple[list[str], Layout, list[type]] | None = None
        self._buffers: list[dict[str, Any]] = []
        self._views: list[Any] = []

    def of(
        self, state: State, kinds: Sequence[str], weights: Mapping[str, Any], layout: Layout
    ) -> list[dict[str, Any]]:
        """The memories for each buffer of the weights, by kind; they are zero for a weight that is new.

        Raises ValueError, with nothing changed, for a memory of another shape than its weight.
        """
        names, where = list(weights), [type(weight) for weight in weights.values()]
        arrays = [state.get(name, {}).get(kind) for kind in kinds for name in names]
        same = len(arrays) == len(self._views) and all(a is b for a, b in zip(arrays, self._views, strict=True))
        if same and self._laid_out == (names, layout, where):
            return self._buffers
        gathered = [layout.gather([_memory(state, name, kind, weights[name]) for name in names]) for kind in kinds]
        self._laid_out, self._views = (names, layout, where), [view for own in gathered for view in layout.views(own)]
        self._buffers = [
            {kind: own[i] for kind, own in zip(kinds, gathered, strict=True)}
            for i in range(1 if layout.together else len(names))
        ]
        for name in names:
            state.setdefault(name, {})
        views = iter(self._views)
        for kind in kinds:
            for name in names:
                state[name][kind] = next(views)
        return self._buffers

    def arrays(self) -> list[Any]:
        """All arrays that a step may write to; an array in a state that is no view of a buffer is copied before."""
        return [array for own in self._buffers for array in own.values()]


def _memory(state: State, name: str, kind: str, weight: Any) -> Any:
    array = state.get(name, {}).get(kind)
    if array is None:
        return array_module(weight).zeros_like(weight)
    if array.shape != weight.shape:
        raise ValueError(
            f"state: got {kind} of shape {array.shape} for {name}, wanted {weight.shape}, as the weight has"
        )
    return beside(array, weight)
