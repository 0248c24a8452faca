"""Ops that move whole pixels of a map (H, W, N, K): each reads every pixel at most once, so its vjp moves them back."""

from minipixel import kernels
from minipixel.backend import array_module
from minipixel.ops.local import moving
from minipixel.tensor import op


@op(local=moving)
def skew(x):
    """The diagonals of a map as the rows of another: (H, W, N, K) -> (H+W-1, H, N, K), y[r + c, r] = x[r, c].

    Row r moves to the right by r, so that the pixels above and to the left of a pixel are both in the column before its
    own. Then columns become rows, since a scan runs down the rows. Places without a pixel of the map are zero.
    Source: van den Oord et al. 2016, arXiv:1601.06759, figure 3.
    """

    def vjp(g):
        return (kernels.unskew(g),)

    return kernels.skew(x), vjp


@op(local=moving)
def unskew(y):
    """The inverse of `skew`: (H+W-1, H, N, K) -> (H, W, N, K), x[r, c] = y[r + c, r]."""

    def vjp(g):
        return (kernels.skew(g),)

    return kernels.unskew(y), vjp


@op(local=moving)
def mirror(x):
    """Left and right exchanged: (H, W, N, K) -> (H, W, N, K)."""

    def vjp(g):
        return (g[:, ::-1],)

    return x[:, ::-1], vjp


@op(local=moving)
def shift_down(x):
    """Move a map down by one row; the first row becomes zero: (H, W, N, K) -> (H, W, N, K)."""
    xp = array_module(x)
    y = xp.zeros_like(x)
    y[1:] = x[:-1]

    def vjp(g):
        x_g = xp.zeros_like(g)
        x_g[:-1] = g[1:]
        return (x_g,)

    return y, vjp


@op(local=moving)
def shift_right(x):
    """Move a map to the right by one column; the first column becomes zero: (H, W, N, K) -> (H, W, N, K)."""
    xp = array_module(x)
    y = xp.zeros_like(x)
    y[:, 1:] = x[:, :-1]

    def vjp(g):
        x_g = xp.zeros_like(g)
        x_g[:, :-1] = g[:, 1:]
        return (x_g,)

    return y, vjp


@op(local=moving)
def subsample(x, *, stride):
    """Every stride-th row and column, the first included: (H, W, N, K) -> (h, w, N, K), h = ceil(H / stride)."""

    def vjp(g):
        x_g = array_module(g).zeros(x.shape, g.dtype)
        x_g[::stride, ::stride] = g
        return (x_g,)

    return x[::stride, ::stride], vjp


@op(local=moving)
def overlay(x, y, *, stride):
    """A map with every stride-th row and column taken from a small one: (H, W, N, K), (h, w, N, K) -> (H, W, N, K)."""
    z = x.copy()
    z[::stride, ::stride] = y

    def vjp(g):
        x_g = g.copy()
        x_g[::stride, ::stride] = 0
        return x_g, g[::stride, ::stride]

    return z, vjp


@op(local=moving)
def add_column(x):
    """A column of zeros on the right: (H, W, N, K) -> (H, W+1, N, K)."""
    xp = array_module(x)
    H, W, N, K = x.shape
    y = xp.zeros((H, W + 1, N, K), x.dtype)
    y[:, :W] = x

    def vjp(g):
        return (g[:, :W],)

    return y, vjp


@op(local=moving)
def drop_column(x):
    """All columns but the last: (H, W, N, K) -> (H, W-1, N, K)."""

    def vjp(g):
        x_g = array_module(g).zeros(x.shape, g.dtype)
        x_g[:, :-1] = g
        return (x_g,)

    return x[:, :-1], vjp
