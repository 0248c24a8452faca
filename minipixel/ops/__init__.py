"""All differentiable functions (ops), and the operators of Tensor, such as + and *, that call them."""

from minipixel.ops.channels import layer_norm, softmax
from minipixel.ops.codes import embedding, one_hot
from minipixel.ops.conv import conv2d, linear, transposed_conv2d
from minipixel.ops.likelihood import bernoulli_log_prob, categorical_log_prob
from minipixel.ops.mixture import logistic_mixture_log_prob, normal_mixture_log_prob
from minipixel.ops.pointwise import (
    add,
    concat,
    concat_elu,
    dropout,
    elu,
    exp,
    gate,
    gelu,
    linear_gate,
    log,
    multiply,
    power,
    prelu,
    relu,
    sigmoid,
    tanh,
)
from minipixel.ops.reductions import mean, total
from minipixel.ops.scan import diagonal_spans, lstm_scan
from minipixel.ops.spatial import (
    add_column,
    drop_column,
    mirror,
    overlay,
    shift_down,
    shift_right,
    skew,
    subsample,
    unskew,
)
from minipixel.ops.triplets import flatten, triplet_loss, unit
from minipixel.ops.weights import weight_norm
from minipixel.tensor import Tensor

# The one table of ops: each has a row in tests/op_table.py, which buys its checks (a test compares the two).
OPS = {
    op.__name__: op
    for op in (
        *(add, multiply, power, exp, log, tanh, sigmoid, relu, prelu, gate, dropout),
        *(elu, gelu, concat_elu, linear_gate, concat),
        *(softmax, layer_norm),
        *(total, mean),
        *(one_hot, embedding),
        *(linear, conv2d, transposed_conv2d, weight_norm),
        *(skew, unskew, mirror, shift_down, shift_right, add_column, drop_column, subsample, overlay),
        *(lstm_scan,),
        *(bernoulli_log_prob, categorical_log_prob),
        *(logistic_mixture_log_prob, normal_mixture_log_prob),
        *(flatten, unit, triplet_loss),
    )
}

__all__ = ["OPS", "diagonal_spans", *OPS]


def _inverse(x):
    """1 / x, of a Tensor or of a constant."""
    return power(x, exponent=-1) if isinstance(x, Tensor) else 1 / x


for _name, _operator in {
    "__add__": add,
    "__radd__": add,
    "__mul__": multiply,
    "__rmul__": multiply,
    "__neg__": lambda x: multiply(x, -1.0),
    "__sub__": lambda x, y: add(x, multiply(y, -1.0)) if isinstance(y, Tensor) else add(x, -y),
    "__rsub__": lambda x, y: add(multiply(x, -1.0), y),
    "__truediv__": lambda x, y: multiply(x, _inverse(y)),
    "__rtruediv__": lambda x, y: multiply(_inverse(x), y),
    "__pow__": lambda x, exponent: power(x, exponent=exponent),
}.items():
    setattr(Tensor, _name, _operator)
