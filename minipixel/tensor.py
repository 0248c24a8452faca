"""Tensors, ops and gradients: an op returns a Tensor that remembers its inputs, and how a gradient flows back to them.

An op is one function on plain arrays that returns its value and its `vjp`: a function from the gradient of the loss
with respect to that value to the gradients with respect to each positional input. `@op` lifts it to Tensors.
A Tensor is an array with respect to which gradients can be taken; a constant is a plain array. Gradients are first
order only.

A graph has one dtype, that of its weights. A float64 constant or gradient that meets float32 weights, such as
`np.sqrt(0.5)`, is rounded to float32, and a result that an op computes in another precision is rounded back.
"""

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minipixel import kernels
from minipixel.arena import added
from minipixel.backend import array_module, beside, check_together
from minipixel.computing import computing
from minipixel.kernels.shapes import check
from minipixel.single_number import SingleNumber

AT_HOME: set[type] = {np.ndarray, int, float, np.float32, np.float64, type(None)}
"""The usual types of an op's inputs on the host; of other ones it is checked that they are on one device."""

_local = threading.local()


class Tensor(SingleNumber):
    """An array; if it is the result of an op, also the op's inputs and the function that sends gradients to them.

    `data` is the array. `grad` is set by `backward` on Tensors that are not results of ops (weights, inputs). `call`
    has the op and its keyword arguments, with which the graph can be run again or examined (see clock).
    """

    __slots__ = ("call", "data", "grad", "inputs", "op", "vjp")
    if TYPE_CHECKING:  # the operators are ops, and ops stand above this file: see ops/__init__.py

        def __add__(self, other: Any) -> "Tensor": ...
        def __radd__(self, other: Any) -> "Tensor": ...
        def __sub__(self, other: Any) -> "Tensor": ...
        def __rsub__(self, other: Any) -> "Tensor": ...
        def __mul__(self, other: Any) -> "Tensor": ...
        def __rmul__(self, other: Any) -> "Tensor": ...
        def __truediv__(self, other: Any) -> "Tensor": ...
        def __rtruediv__(self, other: Any) -> "Tensor": ...
        def __pow__(self, exponent: float) -> "Tensor": ...
        def __neg__(self) -> "Tensor": ...

    decides_dtype = False  # True of weights: what meets them takes their dtype

    __array_ufunc__ = None  # numpy_array + tensor then asks Tensor.__radd__, instead of adding element by element

    def __init__(
        self, data: Any, inputs: tuple[Any, ...] = (), vjp: Callable[..., Any] | None = None, op: str = "input"
    ) -> None:
        self.data: Any = data
        self.grad: Any = None
        self.inputs: tuple[Any, ...] = inputs
        self.vjp: Callable[..., Any] | None = vjp
        self.op: str = op
        self.call: tuple[Any, dict[str, Any]] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the data."""
        return self.data.shape

    @property
    def dtype(self) -> Any:
        """The dtype of the data."""
        return self.data.dtype

    def backward(self, seed: Any = None) -> None:
        """Set the `.grad` of all weights and inputs that this Tensor depends on to the gradient of this Tensor.

        Earlier values of `.grad` are replaced, not added to; each is an array of its own. `seed` is as in `gradients`,
        and so are the errors.
        """
        leaves = [node for node in inputs_first(self) if node.vjp is None]
        for leaf, gradient in zip(leaves, gradients(self, leaves, seed), strict=True):
            leaf.grad = gradient.copy()  # two leaves may get one array, or one that an op or the caller keeps

    def __repr__(self) -> str:
        few = self.data.size <= 6
        what = " ".join(str(self.data).split()) if few else f"{self.dtype} of shape {self.shape}"
        return f"Tensor({what}, op={self.op!r})"


def op(
    function: Callable[..., Any] | None = None,
    *,
    local: Callable[..., Any] | None = None,
    compiled: bool = False,
    shapes: str | None = None,
) -> Any:
    """Lift `function(*arrays, **static) -> (value, vjp)` to Tensors: a decorator for ops.

    Positional inputs may be Tensors or constant arrays; if all are constants, the result is a plain array. Keyword
    arguments are static: masks, axes, target images.
    `vjp(g)` returns one gradient for each positional input. A costly gradient may be given as a function without
    arguments, which is called only if that input is a Tensor, so that a constant costs nothing.
    The function gets arrays of one dtype, that of the graph's weights; a result of another dtype is rounded to it.
    The plain function is available as `.arrays`. `local`, for an op on maps, says what it reads and computes at a
    single pixel (see ops/local.py). With `compiled` the op also has a faster body of the same name (see kernels).
    `shapes` names the axes of each input, as in "... K_in; K_in K_out; K_out"; inputs whose axes disagree raise
    ValueError.
    """
    if function is None:
        return functools.partial(op, local=local, compiled=compiled, shapes=shapes)

    @functools.wraps(function)
    def lifted(*inputs: Any, **static: Any) -> Tensor:
        watching = observer()
        if watching is not None:
            return watching.op(lifted, inputs, static)
        dtype = _dtype(inputs)
        arrays = [_rounded(x.data if isinstance(x, Tensor) else x, dtype) for x in inputs]  # constants, too
        if not {type(array) for array in arrays} <= AT_HOME:
            check_together(function, arrays)
        if shapes is not None:
            check(function.__name__, shapes, arrays)
        body = kernels.compiled(function.__name__, arrays) if compiled else None
        value, vjp = (body and body(*arrays, **static)) or function(*arrays, **static)
        if dtype is None:
            return value
        value = _rounded(value if hasattr(value, "dtype") else np.asarray(value, dtype), dtype)
        if not recording():
            return Tensor(value, op=function.__name__)
        node = Tensor(value, inputs, vjp, function.__name__)
        node.call = lifted, static
        return node

    lifted.arrays, lifted.local = function, local  # type: ignore[attr-defined]
    return lifted


def _dtype(inputs: Sequence[Any]) -> Any:
    """The dtype in which an op computes: that of the weights among its inputs, else of its Tensors; None without any.

    Complex numbers, which gradcheck uses, stay complex.
    """
    dtypes = {x.data.dtype for x in inputs if isinstance(x, Tensor)}
    if len(dtypes) <= 1:
        return dtypes.pop() if dtypes else None
    of_weights = {x.data.dtype for x in inputs if isinstance(x, Tensor) and x.decides_dtype}
    return np.result_type(*(of_weights or dtypes), *(dtype for dtype in dtypes if dtype.kind == "c"))


def _rounded(array: Any, dtype: Any) -> Any:
    """An array or a NumPy number, rounded to that dtype if it has real numbers in another precision."""
    other = getattr(array, "dtype", dtype)
    if other == dtype or other.kind != "f" or dtype is None or dtype.kind != "f":
        return array
    return array.astype(dtype)


def recording() -> bool:
    """Whether ops remember their inputs in this thread: True outside `no_grad`."""
    return not getattr(_local, "paused", False)


@contextlib.contextmanager
def no_grad(paused: bool = True) -> Iterator[None]:
    """Within this block, in this thread, ops return Tensors without history, which saves memory.

    With `paused=False` they record their history, even inside another such block.
    """
    before = getattr(_local, "paused", False)
    _local.paused = paused
    try:
        yield
    finally:
        _local.paused = before


def observer() -> Any:
    """The object that observes the ops of this thread, or None."""
    return getattr(_local, "observer", None)


@contextlib.contextmanager
def observed(by: Any) -> Iterator[None]:
    """Within this block, in this thread, `by` handles every op, recorded or not (see clock/passes.py).

    `by.op(op, inputs, static)` is called in place of each op, `parameter.data` returns `by.data_of(parameter, array)`,
    and `by.written(parameter)` is called before a weight is written. With None ops run as usual.
    """
    before = observer()
    _local.observer = by
    try:
        yield
    finally:
        _local.observer = before


@computing
def gradients(output: Tensor, wrt: Sequence[Tensor], seed: Any = None) -> list[Any]:
    """The gradients of `output` with respect to each Tensor in `wrt`; None where the output does not depend on it.

    `seed` is the gradient of the loss with respect to `output`; it may be left out if `output` is a single number.
    Nothing is written to the Tensors in `wrt`, so threads may share them. Each step of the graph is dropped as soon
    as it has been used: run the forward pass again before taking gradients again.
    Every gradient has the dtype of its Tensor. Two gradients may be the same array, or the seed; copy one before you
    write to it.
    Raises ValueError if the seed or a gradient has another shape than its Tensor, with the name of the op, and for an
    output that was computed within `no_grad`.
    """
    if output.vjp is None and output.op != "input":
        raise ValueError(
            f"backward: got a {output.op} computed within no_grad, wanted one with a history; compute it outside of "
            "that block"
        )
    total = {id(output): _seed(output, seed)}
    wanted = {id(x) for x in wrt}
    order = inputs_first(output)
    while order:
        node = order.pop()
        gradient = total.get(id(node)) if id(node) in wanted else total.pop(id(node), None)
        if node.vjp is None or gradient is None:
            continue
        for position, (x, part) in enumerate(zip(node.inputs, _pull_back(node, gradient), strict=True)):
            if not isinstance(x, Tensor):
                continue
            part = _rounded(part() if callable(part) else part, x.data.dtype)
            if not hasattr(part, "dtype"):
                part = array_module(x.data).asarray(part, x.data.dtype)
            if part.shape != x.shape:
                raise ValueError(
                    f"{node.op}: its vjp gave input {position} a gradient of shape {part.shape}, wanted {x.shape}, "
                    "the shape of that input"
                )
            total[id(x)] = added(total[id(x)], part) if id(x) in total else part
        node.inputs, node.vjp, node.call = (), _used, None
    return [total.get(id(x)) for x in wrt]


def _seed(output: Tensor, seed: Any) -> Any:
    if seed is None and output.data.size != 1:
        raise ValueError(
            f"backward: got a {output.op} of shape {output.shape} and no seed, wanted a single number; "
            "sum it first, or give seed= an array of that shape"
        )
    xp = array_module(output.data)
    seed = 1.0 if seed is None else seed.data if isinstance(seed, Tensor) else seed
    seed = beside(seed, output.data) if hasattr(seed, "dtype") else xp.asarray(seed)
    if seed.ndim == 0:
        return xp.full(output.shape, seed, output.dtype)
    if seed.shape != output.shape:
        raise ValueError(f"backward: got a seed of shape {seed.shape}, wanted {output.shape}, the shape of the output")
    return seed if seed.dtype.kind == "c" else xp.asarray(seed, output.dtype)


def inputs_first(output: Tensor) -> list[Tensor]:
    """Every Tensor that `output` depends on, inputs before their results (by an iterative depth-first walk)."""
    order, seen, stack = [], set(), [(output, False)]
    while stack:
        node, inputs_done = stack.pop()
        if inputs_done:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((x, False) for x in node.inputs if isinstance(x, Tensor))
    return order


def _pull_back(node: Tensor, gradient: Any) -> Sequence[Any]:
    """One gradient for each input of a node. Errors are reported with the op's name."""
    assert node.vjp is not None
    try:
        parts = node.vjp(gradient)
    except Exception as error:
        error.add_note(f"in the backward pass of {node.op}")
        raise
    if len(parts) != len(node.inputs):
        raise ValueError(f"{node.op}: its vjp gave {len(parts)} gradients, wanted {len(node.inputs)}, one per input")
    return parts


def _used(gradient: Any) -> Any:
    raise ValueError("backward: this graph has been used; run the forward pass again (gradients are first order only)")
