"""One compiled loop that walks the schedule of any model: the fast body of sampling/cached.py.

A schedule is data here: a table with a row of numbers for each unit, a list of steps, and one flat array for all maps.
The maps stand there as (slots, N, K), so that what a step reads and writes at a pixel, for all N images, is a block.
Everything else is a loop over the steps, with an `if` for each op; sums of products go to BLAS.

How many times faster than the plain executor (`python benchmarks/sampling.py --executors`): see that file's table in
docs/results.md.
"""

import math

import numba
import numpy as np
from numba.extending import overload

from minipixel.kernels.blas import constants, product

OPS = (
    "linear",
    "add",
    "relu",
    "prelu",
    "elu",
    "concat_elu",
    "gate",
    "linear_gate",
    "concat",
    "lstm_scan",
    "tanh",
    "sigmoid",
)
LINEAR, ADD, RELU, PRELU, ELU, CONCAT_ELU, GATE, LINEAR_GATE, CONCAT, LSTM, TANH, SIGMOID = range(len(OPS))

HEADS = ("bernoulli", "categorical", "logistic_mixture", "normal_mixture")
BERNOULLI, CATEGORICAL, LOGISTIC, NORMAL = range(len(HEADS))

# The columns of a unit's row. Bases count numbers an image; the others are places in `ints` and `weights`, -1 for none.
OP, BASE, K_NODE, COUNT, COLUMNS, TO, WEIGHT, BIAS, CELLS, OWN, OWN_T, ABOVE, READS_A, READS_B = range(14)
READ_BASE, READ_K, READ_T, READ_INDEX, READ_PICK, READ_WIDTH = range(6)  # from READS_A on, and again for a second input
READS_B = READS_A + 6
ROW = READS_B + 6

ZERO, HALF, ONE = np.float32(0), np.float32(0.5), np.float32(1)  # beside float64 they are float64, too
FAST = {"contract", "nsz", "arcp", "reassoc"}  # all but the flags that would let NaN and infinity be forgotten


def _jit(body):
    """Compile lazily and without the GIL; cache on disk, or not where no folder can be written."""
    try:
        return numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")(body)
    except RuntimeError:
        return numba.njit(nogil=True, fastmath=FAST, error_model="numpy")(body)


_inline = numba.njit(nogil=True, fastmath=FAST, error_model="numpy", inline="always")


@_jit
def walk(first, last, step_from, steps, table, ints, weights, work, N, rooms, chunk):
    """Compute all steps of the moments from `first` to `last`, the last excluded, in `work`.

    `rooms` are four places in `work` where `chunk` pixels find room on the way.
    """
    blas = constants(work)
    for s in range(step_from[first], step_from[last]):
        row = table[steps[s, 1]]
        for begin in range(steps[s, 2], steps[s, 3], chunk):
            end = min(begin + chunk, steps[s, 3])
            _compute(row, begin, end, ints, weights, work, N, rooms, blas)


@_jit
def _compute(row, begin, end, ints, weights, work, N, rooms, blas):
    """Compute a unit at its pixels from `begin` to `end`, the end excluded."""
    op, k = row[OP], row[COUNT]
    R = (end - begin) * N
    a = _read(row, READS_A, begin, end, ints, work, N, rooms[0], op == LSTM)
    width = row[READS_A + READ_WIDTH]
    b = 0
    if row[READS_B + READ_T] > 0:
        b = _read(row, READS_B, begin, end, ints, work, N, rooms[1], False)
    direct = row[COLUMNS] < 0 and _in_a_row(ints, row[TO] + begin, end - begin)
    home = row[BASE] * N + ints[row[TO] + begin] * N * row[K_NODE]
    y = home if direct else rooms[2]
    if op == LINEAR:
        if row[BIAS] >= 0:
            for r in range(R):
                for j in range(k):
                    work[y + r * k + j] = weights[row[BIAS] + j]
        product(R, width, k, work, a, weights, row[WEIGHT], work, y, row[BIAS] >= 0, blas)
    elif op == LSTM:
        _lstm(row, begin, end, ints, weights, work, N, a, y, rooms[3], blas)
    elif op == CONCAT:
        other = row[READS_B + READ_WIDTH]
        for r in range(R):
            for j in range(width):
                work[y + r * k + j] = work[a + r * width + j]
            for j in range(other):
                work[y + r * k + width + j] = work[b + r * other + j]
    else:
        _pointwise(op, R, k, work[a : a + R * width], work[b : b + R * k], work[y : y + R * k], weights, row[WEIGHT])
    if not direct:
        _scatter(row, row[BASE], begin, end, ints, work, N, y)


@_jit
def _pointwise(op, R, k, a, b, y, weights, w0):
    """Rows of a, and of b where there are two inputs, to rows of y: (R * K_in) -> (R * k)."""
    if op == ADD:
        for i in range(len(y)):
            y[i] = a[i] + b[i]
    elif op == RELU:
        for i in range(len(y)):
            y[i] = max(a[i], ZERO)
    elif op == PRELU:
        for r in range(R):
            for j in range(k):
                x = a[r * k + j]
                y[r * k + j] = x if x > 0 else weights[w0 + j] * x
    elif op == TANH:
        for i in range(len(y)):
            y[i] = _tanh(a[i])
    elif op == SIGMOID:
        for i in range(len(y)):
            y[i] = _sigmoid(a[i])
    elif op == ELU:
        for i in range(len(y)):
            y[i] = max(a[i], ZERO) + _expm1(min(a[i], ZERO))
    elif op == CONCAT_ELU:
        h = k // 2
        for r in range(R):
            x, up, down = a[r * h : r * h + h], y[r * k : r * k + h], y[r * k + h : r * k + k]
            for j in range(h):
                bent = _expm1(-abs(x[j]))  # of the one that is not positive, of x and -x
                up[j] = x[j] if x[j] > 0 else bent
                down[j] = bent if x[j] > 0 else -x[j]
    else:
        for r in range(R):
            t, s, out = a[2 * r * k : 2 * r * k + k], a[2 * r * k + k : 2 * r * k + 2 * k], y[r * k : r * k + k]
            if op == GATE:
                for j in range(k):
                    out[j] = _tanh(t[j]) * _sigmoid(s[j])
            else:
                for j in range(k):
                    out[j] = t[j] * _sigmoid(s[j])


@_jit
def _lstm(row, begin, end, ints, weights, work, N, z, y, room, blas):
    """A step of a scan: z (R, 4k) gets what the own states say, and becomes new states; the kept ones go to `cells`."""
    k, K, T = row[COUNT], row[K_NODE], row[OWN_T]
    maps, cells = row[BASE] * N, row[CELLS] * N
    for p in range(begin, end):
        for t in range(T):
            there = maps + ints[row[OWN] + p * T + t] * N * K
            for n in range(N):
                here = room + ((p - begin) * N + n) * T * K + t * K
                for j in range(K):
                    work[here + j] = work[there + n * K + j]
    product((end - begin) * N, T * K, 4 * k, work, room, weights, row[WEIGHT], work, z, True, blas)
    for p in range(begin, end):
        kept, put = cells + ints[row[ABOVE] + p] * N * K, cells + ints[row[TO] + p] * N * K
        for n in range(N):
            r = (p - begin) * N + n
            o, f = work[z + r * 4 * k : z + (r * 4 + 1) * k], work[z + (r * 4 + 1) * k : z + (r * 4 + 2) * k]
            i, g = work[z + (r * 4 + 2) * k : z + (r * 4 + 3) * k], work[z + (r * 4 + 3) * k : z + (r * 4 + 4) * k]
            h = work[y + r * k : y + r * k + k]
            if row[COLUMNS] < 0:
                before, after = work[kept + n * K : kept + n * K + K], work[put + n * K : put + n * K + K]
                for j in range(k):
                    c = _sigmoid(f[j]) * before[j] + _sigmoid(i[j]) * _tanh(g[j])
                    after[j] = c
                    h[j] = _sigmoid(o[j]) * _tanh(c)
            else:
                for j in range(k):
                    column = ints[row[COLUMNS] + j]
                    c = _sigmoid(f[j]) * work[kept + n * K + column] + _sigmoid(i[j]) * _tanh(g[j])
                    work[put + n * K + column] = c
                    h[j] = _sigmoid(o[j]) * _tanh(c)


# --- drawing ----------------------------------------------------------------------------------------------------------


@_jit
def play(step_from, steps, table, ints, weights, work, N, rooms, chunk, draw_from, draws, head, image, output):
    """Walk all moments, and draw what is due at the end of each.

    `head` is (code, Q, M, temperature); `image` (levels (P, N, C), which of them are fixed (P, N), uniforms (P, N, C),
    the numbers (Q,) that the model reads for levels, where the image stands in `work`); `output` (where the parameters
    stand, how many a pixel has). Draws as the heads do: see heads/.
    """
    levels, fixed, uniforms, scaled, image_base = image
    output_base, P = output
    C = levels.shape[2]
    scores = np.empty(max(head[1], head[2]))
    for moment in range(len(step_from) - 1):
        walk(moment, moment + 1, step_from, steps, table, ints, weights, work, N, rooms, chunk)
        for d in range(draw_from[moment], draw_from[moment + 1]):
            pixel, channel, slot = draws[d, 1], draws[d, 2], draws[d, 3]
            for n in range(N):
                if not fixed[pixel, n]:
                    parameters = work[(output_base + slot * P) * N + n * P :]
                    u = uniforms[pixel, n, channel]
                    levels[pixel, n, channel] = _draw(parameters, levels[pixel, n], channel, u, head, scores)
                work[((image_base + (pixel + 2) * C) * N) + n * C + channel] = scaled[levels[pixel, n, channel]]


@_jit
def _draw(parameters, pixel, channel, u, head, scores):
    """The level whose slice of the CDF holds u, given the parameters (P, ...) and the earlier channels of a pixel."""
    code, Q, _, temperature = head
    if code == BERNOULLI:
        logit = np.float64(parameters[channel]) / temperature
        return int(u >= math.exp(-max(logit, 0.0) - math.log1p(math.exp(-abs(logit)))))
    if code == CATEGORICAL:
        return _of_logits(parameters[channel * Q : channel * Q + Q], u, temperature, scores)
    return _of_mixture(parameters, pixel, channel, u, head, scores)


@_jit
def _of_logits(logits, u, temperature, weights):
    """How many levels have their whole slice of the CDF below u: (Q,) -> 0..Q-1."""
    Q = len(logits)
    highest, total = np.float64(logits.max()), 0.0
    for q in range(Q):
        weights[q] = math.exp((np.float64(logits[q]) - highest) / temperature)
        total += weights[q]
    level, edge = 0, weights[0]
    while level < Q - 1 and edge <= u * total:
        level += 1
        edge += weights[level]
    return level


@_jit
def _of_mixture(parameters, pixel, channel, u, head, weights):
    """How many bins end below u, in the CDF of a mixture given the earlier channels of the pixel."""
    code, Q, M, temperature = head
    unit, highest = 2.0 / (Q - 1), -np.inf
    for m in range(M):
        weights[m] = np.float64(parameters[m]) / temperature
        for earlier in range(channel):
            mean, precision = _component(parameters, pixel, earlier, m, head)
            x = pixel[earlier]
            weights[m] += _logistic_log_mass((x * unit - 1 - mean) * precision, unit * precision, x == 0, x == Q - 1)
        highest = max(highest, weights[m])
    total = 0.0
    for m in range(M):
        weights[m] = math.exp(weights[m] - highest)
        total += weights[m]
    level = 0
    for bit in range(7, -1, -1):
        step = 2**bit
        if level + step < Q:
            edge = (2 * (level + step) - 1) / (Q - 1) - 1
            below = 0.0
            for m in range(M):
                mean, precision = _component(parameters, pixel, channel, m, head)
                z = (edge - mean) * precision
                below += weights[m] * (_expit(z) if code == LOGISTIC else 0.5 * math.erfc(-z * math.sqrt(0.5)))
            if below <= u * total:
                level += step
    return level


@_jit
def _component(parameters, pixel, channel, m, head):
    """The mean, moved by the earlier channels of the pixel, and 1 / scale of component m: see ops/mixture.py."""
    _, Q, M, temperature = head
    C, unit = len(pixel), 2.0 / (Q - 1)
    mean = np.float64(parameters[(1 + channel) * M + m])
    if channel == 1:
        mean += math.tanh(parameters[7 * M + m]) * (pixel[0] * unit - 1)
    elif channel == 2:
        mean += math.tanh(parameters[8 * M + m]) * (pixel[0] * unit - 1)
        mean += math.tanh(parameters[9 * M + m]) * (pixel[1] * unit - 1)
    log_scale = np.float64(parameters[(1 + C + channel) * M + m])
    return mean, math.exp(-max(log_scale, -7.0)) / temperature


@_jit
def _logistic_log_mass(m, d, lowest, highest):
    """The log of the mass of a bin d wide around m, or of a tail: see ops/mixture.py."""
    d = max(d, 2.2250738585072014e-308)
    inside = 0.0 if lowest or highest else math.log(-math.expm1(-d))
    return inside + (0.0 if highest else _log_expit(m + d / 2)) + (0.0 if lowest else _log_expit(d / 2 - m))


@_inline
def _expit(z):
    return 1 / (1 + math.exp(-z)) if z > 0 else math.exp(z) / (1 + math.exp(z))


@_inline
def _log_expit(z):
    return min(z, 0.0) - math.log1p(math.exp(-abs(z)))


# --- reading and writing ----------------------------------------------------------------------------------------------


@_inline
def _in_a_row(ints, start, count):
    """Whether `count` slots follow each other."""
    i = 1
    while i < count and ints[start + i] == ints[start] + i:
        i += 1
    return i >= count


@_jit
def _read(row, which, begin, end, ints, work, N, room, copied):
    """Where the rows of an input begin: in its map, if they stand there side by side, or gathered in `room`.

    Rows are (end - begin) pixels of N images each, of READ_WIDTH numbers; `copied` asks for a copy that may be changed.
    """
    base, K, T = row[which + READ_BASE] * N, row[which + READ_K], row[which + READ_T]
    index, pick, width = row[which + READ_INDEX], row[which + READ_PICK], row[which + READ_WIDTH]
    if T == 1 and pick < 0 and not copied and _in_a_row(ints, index + begin, end - begin):
        return base + ints[index + begin] * N * K
    for p in range(begin, end):
        here = room + (p - begin) * N * width
        if pick < 0:
            for t in range(T):
                there = base + ints[index + p * T + t] * N * K
                for n in range(N):
                    for j in range(K):
                        work[here + n * width + t * K + j] = work[there + n * K + j]
        else:
            for j in range(width):
                t, channel = divmod(ints[pick + j], K)
                there = base + ints[index + p * T + t] * N * K + channel
                for n in range(N):
                    work[here + n * width + j] = work[there + n * K]
    return room


@_jit
def _scatter(row, base, begin, end, ints, work, N, y):
    """Rows of a unit's channels, from y on, to where they belong in the unit's map."""
    k, K, columns = row[COUNT], row[K_NODE], row[COLUMNS]
    for p in range(begin, end):
        to = base * N + ints[row[TO] + p] * N * K
        for n in range(N):
            r = (p - begin) * N + n
            for j in range(k):
                work[to + n * K + (j if columns < 0 else ints[columns + j])] = work[y + r * k + j]


# --- functions that loops can be vectorised over ----------------------------------------------------------------------


def _tanh(x):
    """tanh, for float32 by a quotient of polynomials, for float64 by the C library.

    The quotient is right to 5 ulp from 1e-35 on; of smaller numbers, whose products have fewer digits, to 2e-40.
    """


@overload(_tanh, jit_options={"fastmath": FAST, "error_model": "numpy"}, inline="always")
def _tanh_of(x):
    if x != numba.float32:
        return lambda x: math.tanh(x)
    return _tanh_quotient


def _tanh_quotient(x):
    # The coefficients are those of the Eigen library (Eigen/src/Core/MathFunctionsImpl.h); past the bound tanh is 1.
    x = min(max(x, np.float32(-7.90531110763549805)), np.float32(7.90531110763549805))
    s = x * x
    p = np.float32(-2.76076847742355e-16) * s + np.float32(2.00018790482477e-13)
    p = p * s + np.float32(-8.60467152213735e-11)
    p = p * s + np.float32(5.12229709037114e-08)
    p = p * s + np.float32(1.48572235717979e-05)
    p = p * s + np.float32(6.37261928875436e-04)
    p = p * s + np.float32(4.89352455891786e-03)
    q = np.float32(1.19825839466702e-06) * s + np.float32(1.18534705686654e-04)
    q = q * s + np.float32(2.26843463243900e-03)
    q = q * s + np.float32(4.89352518554385e-03)
    return x * p / q


@_inline
def _sigmoid(x):
    return HALF * _tanh(HALF * x) + HALF


@_inline
def _expm1(x):
    """e ** x - 1 for x <= 0, by way of tanh: nothing cancels there."""
    t = _tanh(HALF * x)
    return (t + t) / (ONE - t)
