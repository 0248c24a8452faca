"""Pointwise functions of a row of pixels, and their adjoints: the walker's opcodes from RELU to SCALE_X.

All numbers stand in one flat array, `x`, from the places a, b and c on; a row has n of them, or R pixels of K channels
each. What belongs to the channels stands in `w`, repeated: `length` numbers from w0 on (see rows.py); of SOFTMAX and
LAYER_NORM `length` is the number of colours. Adjoints turn the gradient at a into that of what was read, in place, or
write it to c where it has another width.
"""

from minipixel.kernels import opcodes as code
from minipixel.kernels.channels import layer_norm, layer_norm_back, softmax, softmax_back
from minipixel.kernels.functions import ONE, exp, expm1, gelu, gelu_slope, log, sigmoid, tanh
from minipixel.kernels.jit import jit
from minipixel.kernels.rows import ZERO, U, rectify


@jit
def function(op, x, a, y, b, z, c, R, K, w, w0, length):
    """A pointwise function of R rows of K numbers in x, and of those in z, to y; a gate leaves its factors in x."""
    n, a, b, c, w0, length, K = U(R * K), U(a), U(b), U(c), U(w0), U(length), U(K)
    if op == code.RELU:
        rectify(x, a, y, b, R * K)
    elif op == code.CONCAT_ELU:
        for r in range(U(R)):
            i, o = a + r * K, b + (r + r) * K
            for k in range(K):
                v = x[i + k]
                bent = expm1(-abs(v))
                y[o + k] = v if v > ZERO else bent
                y[o + K + k] = bent if v > ZERO else -v
    elif op == code.GATE:
        K = K >> U(1)
        for r in range(U(R)):
            i, o = a + (r + r) * K, b + r * K
            for k in range(K):
                t, s = tanh(x[i + k]), sigmoid(x[i + K + k])
                x[i + k], x[i + K + k] = t, s
                y[o + k] = t * s
    elif op == code.FACTORS:
        K = K >> U(1)
        for r in range(U(R)):
            i, o = a + (r + r) * K, b + r * K
            for k in range(K):
                y[o + k] = x[i + k] * x[i + K + k]
    elif op == code.LINEAR_GATE:
        K = K >> U(1)
        for r in range(U(R)):
            i, o = a + (r + r) * K, b + r * K
            for k in range(K):
                y[o + k] = x[i + k] * sigmoid(x[i + K + k])
    elif op == code.ELU:
        for i in range(n):
            v = x[a + i]
            y[b + i] = max(v, ZERO) + expm1(min(v, ZERO))
    elif op == code.PRELU:
        for o in range(U(0), n, length):
            for k in range(min(length, n - o)):
                v = x[a + o + k]
                y[b + o + k] = v if v > ZERO else w[w0 + k] * v
    elif op == code.SCALE:
        for o in range(U(0), n, length):
            for k in range(min(length, n - o)):
                y[b + o + k] = x[a + o + k] * w[w0 + k]
    elif op == code.TANH:
        for i in range(n):
            y[b + i] = tanh(x[a + i])
    elif op == code.SIGMOID:
        for i in range(n):
            v = x[a + i]
            y[b + i] = exp(min(v, ZERO)) / (ONE + exp(min(v, -v)))
    elif op == code.EXP:
        for i in range(n):
            y[b + i] = exp(x[a + i])
    elif op == code.LOG:
        for i in range(n):
            y[b + i] = log(x[a + i])
    elif op == code.POWER:
        e = w[w0]
        for i in range(n):
            y[b + i] = x[a + i] ** e
    elif op == code.MULTIPLY:
        for i in range(n):
            y[b + i] = x[a + i] * z[c + i]
    elif op == code.GELU:
        for i in range(n):
            y[b + i] = gelu(x[a + i])
    elif op == code.SOFTMAX:
        softmax(x, a, y, b, R, K, length)
    elif op == code.LAYER_NORM:
        layer_norm(x, a, y, b, R, K, length, w[w0])


@jit
def adjoint(op, g, a, x, b, y, c, R, K, w, w0, length, w_g):
    """The way back through a pointwise function: from the gradient g, and what it read or computed, x."""
    n, a, b, c, w0, length, K = U(R * K), U(a), U(b), U(c), U(w0), U(max(length, 1)), U(K)
    if op == code.RELU_X and length > U(1):
        for o in range(U(0), n, length):
            for k in range(min(length, n - o)):
                above = g[a + o + k]
                kept = above if x[b + o + k] > ZERO else ZERO
                g[a + o + k] = kept
                w_g[w0 + k] += kept
    elif op == code.RELU_X:
        for i in range(n):
            above = g[a + i]
            g[a + i] = above if x[b + i] > ZERO else ZERO
    elif op == code.CONCAT_ELU_X:
        K = K >> U(1)
        for r in range(U(R)):
            i, o = a + (r + r) * K, r * K
            for k in range(K):
                v = x[b + o + k]
                slope = exp(-abs(v))
                above, below = g[i + k], g[i + K + k]
                y[c + o + k] = above - slope * below if v > ZERO else slope * above - below
    elif op == code.GATE_X:
        for r in range(U(R)):
            i, o = a + r * K, (r + r) * K
            for k in range(K):
                t, s = x[b + o + k], x[b + o + K + k]
                to_t = g[i + k] * s
                y[c + o + k], y[c + o + K + k] = to_t * (ONE - t * t), to_t * t * (ONE - s)
    elif op == code.LINEAR_GATE_X:
        for r in range(U(R)):
            i, o = a + r * K, (r + r) * K
            for k in range(K):
                s = sigmoid(x[b + o + K + k])
                to_v = g[i + k] * s
                y[c + o + k], y[c + o + K + k] = to_v, to_v * x[b + o + k] * (ONE - s)
    elif op == code.ELU_X:
        for i in range(n):
            g[a + i] = g[a + i] * exp(min(x[b + i], ZERO))
    elif op == code.PRELU_X:
        for o in range(U(0), n, length):
            for k in range(min(length, n - o)):
                v, above = x[b + o + k], g[a + o + k]
                w_g[w0 + k] += ZERO if v > ZERO else above * v
                g[a + o + k] = above if v > ZERO else above * w[w0 + k]
    elif op == code.SCALE_X:
        for o in range(U(0), n, length):
            for k in range(min(length, n - o)):
                above = g[a + o + k]
                w_g[w0 + k] += above * x[b + o + k]
                g[a + o + k] = above * w[w0 + k]
    elif op == code.TANH_X:
        for i in range(n):
            g[a + i] = g[a + i] * (ONE - x[b + i] * x[b + i])
    elif op == code.SIGMOID_X:
        for i in range(n):
            g[a + i] = g[a + i] * x[b + i] * (ONE - x[b + i])
    elif op == code.EXP_X:
        for i in range(n):
            g[a + i] = g[a + i] * x[b + i]
    elif op == code.LOG_X:
        for i in range(n):
            g[a + i] = g[a + i] / x[b + i]
    elif op == code.POWER_X:
        e = w[w0]
        for i in range(n):
            g[a + i] = g[a + i] * (e * x[b + i] ** (e - ONE))
    elif op == code.GELU_X:
        for i in range(n):
            g[a + i] = g[a + i] * gelu_slope(x[b + i])
    elif op == code.SOFTMAX_X:
        softmax_back(g, a, x, b, R, K, length)
    elif op == code.LAYER_NORM_X:
        layer_norm_back(g, a, x, b, R, K, length, w[w0])
