"""concat_elu in one pass each way; `bend` and `unbend` are its loops, parts of compiled layers, too."""

from minipixel.arena import empty
from minipixel.kernels.functions import exp, expm1
from minipixel.kernels.jit import jit
from minipixel.kernels.rows import ZERO, U, flat


def concat_elu(x):
    """The override of `ops.concat_elu`: 3.9 times faster (benchmarks/compiled.py)."""
    y = empty((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
    _concat_elu(x, y)

    def vjp(g):
        x_g = empty(x.shape, x.dtype)
        _concat_elu_back(g, x, x_g)
        return (x_g,)

    return y, vjp


@jit
def _concat_elu(x, y):
    K = x.shape[-1]
    bend(flat(x), 0, x.size // max(1, K), K, flat(y), 0)


@jit
def _concat_elu_back(g, x, x_g):
    K = x.shape[-1]
    unbend(flat(g), 0, flat(x), 0, x.size // max(1, K), K, x_g.reshape(x.size), 0)


@jit
def bend(x, x0, R, K, y, y0):
    """R rows of K numbers, from x0 on, go to rows of 2K from y0 on: elu of each number, then elu of minus each.

    Only one of the two is bent.
    """
    x0, y0, K = U(x0), U(y0), U(K)
    for r in range(U(R)):
        a, b = x0 + r * K, y0 + (r + r) * K
        for k in range(K):
            v = x[a + k]
            bent = expm1(-abs(v))
            y[b + k] = v if v > ZERO else bent
            y[b + K + k] = bent if v > ZERO else -v


@jit
def unbend(g, g0, x, x0, R, K, x_g, x_g0):
    """Back through `bend`: from rows of 2K gradients, from g0 on, to rows of K."""
    g0, x0, x_g0, K = U(g0), U(x0), U(x_g0), U(K)
    for r in range(U(R)):
        a, b, c = g0 + (r + r) * K, x0 + r * K, x_g0 + r * K
        for k in range(K):
            v = x[b + k]
            slope = exp(-abs(v))
            above, below = g[a + k], g[a + K + k]
            x_g[c + k] = above - slope * below if v > ZERO else slope * above - below
