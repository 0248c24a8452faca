"""A model with packed weights, which is built once per step, and which all shards of the step run."""

from functools import cached_property
from typing import Any

import numpy as np

from minipixel.backend import array_module
from minipixel.clock.trace import Trace
from minipixel.draws import Draws
from minipixel.nn.module import Parameter
from minipixel.plan.executor import Pass
from minipixel.plan.table import Table
from minipixel.plan.weights import computed
from minipixel.tensor import Tensor, inputs_first, no_grad, recording


class Ready:
    """A model's weights packed for one of its tables. Any number of threads can use it, until the weights change."""

    def __init__(self, trace: Trace, table: Table, dtype: str) -> None:
        self.trace, self.table = trace, table
        with no_grad():  # what ops make of weights, such as normalised kernels, need not wait for the way back
            leaves, self.constants = self._evaluated()
        self._take(leaves, dtype)

    def _take(self, leaves: list[Any], dtype: str) -> None:
        """Make the weights ready for passes."""
        self.weights = self.table.packer.pack(leaves, np.dtype(dtype))

    def _evaluated(self) -> tuple[list[Any], list[Any]]:
        """The leaves, and the inputs that are neither images nor conditions, computed from the present weights."""
        leaves = self._leaves()
        again = computed([*leaves, *[node.tensor for node, _, _ in self.table.inputs if not self._is_given(node)]])
        return again[: len(leaves)], again[len(leaves) :]

    def _leaves(self) -> list[Any]:
        return self.table.packer.leaves

    def run(self, x: Any, condition: Any, rng: Any) -> Any:
        """Run a forward pass, which computes the same as the model's `forward`; its output is (H * W, N, P)."""
        constants, N = iter(self.constants), x.shape[2]
        inputs = []
        for node, _, _ in self.table.inputs:
            if node is self.trace.image:
                inputs.append(x)
            else:
                inputs.append(condition if node.tensor is self.trace.condition else next(constants))
        return self._pass(inputs, N, (rng.key, rng.first) if isinstance(rng, Draws) else (np.zeros(2, np.uint32), 0))

    def _pass(self, inputs: list[Any], N: int, draw: tuple[np.ndarray, int]) -> Any:
        return Pass(self.table, self.weights, inputs, N, draw)

    def on_tape(self, x: Any, condition: Any = None, rng: Any = None) -> Tensor:
        """The same as one op of a graph, whose inputs are the leaves: (h, w, N, P)."""
        run = self.run(x, condition, rng)
        y = run.output.reshape(*self.trace.size, x.shape[2], -1).copy()
        if not recording() or not self.table.packer.trains:
            return Tensor(y, op="plan")
        leaves, xp = self.tensors, array_module(y)
        shut = self._shut(leaves)

        def vjp(g: Any) -> list[Any]:
            parts = self.parts(run.back(xp.ascontiguousarray(g, y.dtype)))
            found = [part for part, x in zip(parts, leaves, strict=True) if isinstance(x, Tensor)]
            return [*found, *[xp.zeros_like(x.data) for x in shut]]

        return Tensor(y, (*[x for x in leaves if isinstance(x, Tensor)], *shut), vjp, "plan")

    def _shut(self, leaves: list[Any]) -> list[Tensor]:
        """Parameters that ops get and masks shut altogether: without a plan their gradient would be 0."""
        reached = {id(x) for leaf in leaves if isinstance(leaf, Tensor) for x in inputs_first(leaf)}
        given = inputs_first(self.trace.tensor)
        return [x for x in given if isinstance(x, Parameter) and id(x) not in reached]

    @cached_property
    def tensors(self) -> list[Any]:
        """The leaves as Tensors, in the order of the gradients of `Pass.back`; computed when first needed."""
        leaves, constants = self._evaluated()
        learn = [g is not None for node, _, g in self.table.inputs if not self._is_given(node)]
        return [*leaves, *[c for c, learns in zip(constants, learn, strict=True) if learns]]

    def _is_given(self, node: Any) -> bool:
        return node is self.trace.image or node.tensor is self.trace.condition

    def parts(self, flat: Any) -> list[Any]:
        """The gradients of `tensors` from results of `Pass.back`, which may be added up; None for a constant."""
        return self.table.packer.unpack(self.tensors, flat)

    def gradients(self, flat: Any, parameters: list[Any]) -> list[Any]:
        """The gradients of parameters from such results; None where there are none."""
        return self.table.packer.home(self.tensors, self.parts(flat), parameters)
