"""The cells of an LSTM, and their way back, in one pass each.

The loop of the way back stands there twice, for 16 channels and for fewer: only a number that the compiler knows makes
vectors of it. Written once, as a function of the arrays, it is 6 times slower, since references to arrays are then
counted cell by cell.
"""

from minipixel.kernels import opcodes
from minipixel.kernels.functions import ONE, sigmoid, tanh
from minipixel.kernels.jit import inline, jit
from minipixel.kernels.rows import U

LANES = U(opcodes.LANES)
"""So many channels at a time: their pre-activations o, f, i and g stand together, then those of the next ones.

That the four lie a known number of places apart is what lets the compiler see that none overlaps another.
"""


@jit
def cells(gates, gates0, c, before, h, here, R, K):
    """R cells of K channels: pre-activations become gates; with these, from the c before, come c and h here.

    In four loops, each of which writes to one place: in one the compiler gives up on K above LANES.
    """
    for n in range(U(R)):
        for k in range(U(0), U(K), LANES):
            L, at = min(LANES, U(K) - k), n * U(K) + k
            o, b, a = U(gates0) + U(4) * at, U(before) + at, U(here) + at
            f, i, g = o + L, o + L + L, o + L + L + L
            for m in range(L + L + L):
                gates[o + m] = sigmoid(gates[o + m])
            for m in range(L):
                gates[g + m] = tanh(gates[g + m])
            for m in range(L):
                c[a + m] = gates[f + m] * c[b + m] + gates[i + m] * gates[g + m]
            for m in range(L):
                h[a + m] = gates[o + m] * tanh(c[a + m])


@jit
def cells_back(gates, gates0, c, before, here, h_g, h_g0, c_g, c_g0, z_g, z_g0, R, K):
    """From the gradients of h and c of R cells those of the pre-activations; that of c becomes that of the c before."""
    for n in range(U(R)):
        for k in range(U(0), U(K) - U(K) % LANES, LANES):
            at = n * U(K) + k
            o, z, b, a = U(gates0) + U(4) * at, U(z_g0) + U(4) * at, U(before) + at, U(here) + at
            s, t = U(h_g0) + at, U(c_g0) + at
            for i in range(LANES):
                f, j, g = LANES + i, LANES + LANES + i, LANES + LANES + LANES + i
                z_g[z + i], z_g[z + f], z_g[z + j], z_g[z + g], c_g[t + i] = _cell_back(
                    gates[o + i], gates[o + f], gates[o + j], gates[o + g], c[a + i], c[b + i], h_g[s + i], c_g[t + i]
                )
        k, L = U(K) - U(K) % LANES, U(K) % LANES
        at = n * U(K) + k
        o, z, b, a = U(gates0) + U(4) * at, U(z_g0) + U(4) * at, U(before) + at, U(here) + at
        s, t = U(h_g0) + at, U(c_g0) + at
        for i in range(L):
            f, j, g = L + i, L + L + i, L + L + L + i
            z_g[z + i], z_g[z + f], z_g[z + j], z_g[z + g], c_g[t + i] = _cell_back(
                gates[o + i], gates[o + f], gates[o + j], gates[o + g], c[a + i], c[b + i], h_g[s + i], c_g[t + i]
            )


@inline
def _cell_back(o, f, i, g, c, c_before, h_g, c_g):
    t = tanh(c)
    c_g = c_g + h_g * o * (ONE - t * t)
    pre = h_g * t * o * (ONE - o), c_g * c_before * f * (ONE - f), c_g * g * i * (ONE - i), c_g * i * (ONE - g * g)
    return pre[0], pre[1], pre[2], pre[3], c_g * f
