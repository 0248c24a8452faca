"""Every differentiable function, and the operators of Tensor that stand for some of them."""

from minipixel.ops.conv import conv2d, linear
from minipixel.ops.likelihood import bernoulli_log_prob, categorical_log_prob
from minipixel.ops.pointwise import add, exp, log, multiply, power, relu, sigmoid, tanh
from minipixel.ops.reductions import mean, total
from minipixel.tensor import Tensor

# The one table of ops: each has a row in tests/op_table.py, which buys its checks (a test compares the two).
OPS = {
    op.__name__: op
    for op in (
        *(add, multiply, power, exp, log, tanh, sigmoid, relu),
        *(total, mean),
        *(linear, conv2d),
        *(bernoulli_log_prob, categorical_log_prob),
    )
}

__all__ = ["OPS", *OPS]

Tensor.__add__ = Tensor.__radd__ = add  # type: ignore[attr-defined]
Tensor.__mul__ = Tensor.__rmul__ = multiply  # type: ignore[attr-defined]
Tensor.__neg__ = lambda x: multiply(x, -1.0)  # type: ignore[attr-defined]
Tensor.__sub__ = lambda x, y: add(x, multiply(y, -1.0))  # type: ignore[attr-defined]
Tensor.__rsub__ = lambda x, y: add(multiply(x, -1.0), y)  # type: ignore[attr-defined]
Tensor.__truediv__ = lambda x, y: multiply(x, power(y, exponent=-1))  # type: ignore[attr-defined]
Tensor.__rtruediv__ = lambda x, y: multiply(power(x, exponent=-1), y)  # type: ignore[attr-defined]
Tensor.__pow__ = lambda x, exponent: power(x, exponent=exponent)  # type: ignore[attr-defined]
