"""One compiled loop that walks the schedule of any model: the fast body of sampling/cached.py.

A schedule is data here: a table with a row of numbers for each unit, a list of steps, and one flat array for all maps.
The maps stand there as (slots, N, K), so that what a step reads and writes at a pixel, for all N images, is a block.
Everything else is a loop over the steps, with an `if` for each op; sums of products go to BLAS.

How many times faster than the plain executor (`python benchmarks/sampling.py --executors`; 28x28, one thread, float32,
two cores of an Intel Xeon with other work beside, medians of 5; along slanted lines where there are some):

    images at a time            1     8
    PixelCNN 16, 7 blocks      25     8
    Gated 32, 7 layers         24     9
    Row LSTM 16, 7 layers      65    21
    Diagonal BiLSTM 16, 7      43    25
    PixelCNN++ 32, 2, 2        23     9
"""

import numpy as np

from minipixel.kernels import units as at
from minipixel.kernels.blas import constants, product
from minipixel.kernels.channels import layer_norm, softmax
from minipixel.kernels.draw import draw
from minipixel.kernels.functions import ONE, expm1, gelu, sigmoid, tanh
from minipixel.kernels.jit import jit
from minipixel.kernels.rows import ZERO, U, add_to, copy


@jit
def walk(first, last, step_from, steps, table, ints, weights, work, N, rooms, chunk):
    """Compute all steps of the moments from `first` to `last`, the last excluded, in `work`.

    `rooms` are four places in `work` where `chunk` pixels find room on the way.
    """
    blas = constants(work)
    for s in range(step_from[first], step_from[last]):
        for begin in range(steps[s, at.FIRST], steps[s, at.LAST], chunk):
            end = min(begin + chunk, steps[s, at.LAST])
            _compute(steps, s, begin, end, table, ints, weights, work, N, rooms, blas)


@jit
def _compute(steps, s, begin, end, table, ints, weights, work, N, rooms, blas):
    """Step s at its pixels from `begin` to `end`, the end excluded: R rows of k numbers, to place y."""
    u, done = steps[s, at.UNIT], begin - steps[s, at.FIRST]
    op, k, bias = table[u, at.OP], table[u, at.COUNT], table[u, at.BIAS]
    R = (end - begin) * N
    a, b, y = (steps[s, at.AT_A] + done * table[u, at.READS_A + at.READ_K]) * N, 0, (steps[s, at.AT_Y] + done * k) * N
    if steps[s, at.AT_A] < 0:
        a = _gather(table, u, at.READS_A, begin, end, ints, work, N, rooms[0])
    if table[u, at.READS_B + at.READ_T] > 0:
        b = (steps[s, at.AT_B] + done * table[u, at.READS_B + at.READ_K]) * N
        if steps[s, at.AT_B] < 0:
            b = _gather(table, u, at.READS_B, begin, end, ints, work, N, rooms[1])
    if steps[s, at.AT_Y] < 0:
        y = rooms[2]
    if op == at.LINEAR:
        if bias >= 0:
            for r in range(R):
                copy(weights, bias, work, y + r * k, k)
        product(
            R, table[u, at.READS_A + at.READ_WIDTH], k, work, a, weights, table[u, at.WEIGHT], work, y, bias >= 0, blas
        )
    elif op == at.LSTM:
        _lstm(table, u, begin, end, ints, weights, work, N, a, y, rooms[3], blas)
    elif op == at.LOOKUP or op == at.EMBEDDING:
        _look_up(
            op,
            R,
            k,
            table[u, at.READS_A + at.READ_WIDTH],
            table[u, at.LEVELS],
            work,
            a,
            y,
            weights,
            table[u, at.WEIGHT],
            bias,
        )
    elif op == at.CONCAT:
        of_a, of_b = table[u, at.READS_A + at.READ_WIDTH], table[u, at.READS_B + at.READ_WIDTH]
        for r in range(R):
            copy(work, a + r * of_a, work, y + r * k, of_a)
            copy(work, b + r * of_b, work, y + r * k + of_a, of_b)
    elif op == at.SOFTMAX:
        softmax(work, a, work, y, R, k, k // table[u, at.OF_COLOUR])
    elif op == at.LAYER_NORM:
        layer_norm(work, a, work, y, R, k, k // table[u, at.OF_COLOUR], weights[table[u, at.EPSILON]])
        _scaled(U(R), U(k), work, U(y), weights, table[u, at.WEIGHT], bias)
    else:
        _pointwise(op, U(R), U(k), work, U(a), U(b), U(y), weights, U(max(table[u, at.WEIGHT], 0)))
    if steps[s, at.AT_Y] < 0:
        _scatter(table, u, begin, end, ints, work, N, y)


@jit
def _pointwise(op, R, k, work, a, b, y, weights, w0):
    """R rows of k numbers to place y, from rows at a, and at b where there are two inputs.

    Places are counted unsigned, here and below: a signed one costs a test that keeps loops from being vectorised. And
    they are places, not slices: making a slice and letting go of it takes longer than a short loop.
    """
    n = R * k
    if op == at.ADD:
        for i in range(n):
            work[y + i] = work[a + i] + work[b + i]
    elif op == at.RELU:
        for i in range(n):
            work[y + i] = max(work[a + i], ZERO)
    elif op == at.ONE_HOT:  # codes, of which 0 stands for none, as beyond the border
        for i in range(n):
            work[y + i] = work[a + i] + ONE
    elif op == at.TANH:
        for i in range(n):
            work[y + i] = tanh(work[a + i])
    elif op == at.SIGMOID:
        for i in range(n):
            work[y + i] = sigmoid(work[a + i])
    elif op == at.GELU:
        for i in range(n):
            work[y + i] = gelu(work[a + i])
    elif op == at.ELU:
        for i in range(n):
            work[y + i] = max(work[a + i], ZERO) + expm1(min(work[a + i], ZERO))
    elif op == at.PRELU:
        for r in range(R):
            for j in range(k):
                x = work[a + r * k + j]
                work[y + r * k + j] = x if x > ZERO else weights[w0 + j] * x
    elif op == at.CONCAT_ELU:
        h = k >> U(1)
        for r in range(R):
            for j in range(h):
                x = work[a + r * h + j]
                bent = expm1(-abs(x))  # of x and -x, for the one that is not positive
                work[y + r * k + j] = x if x > ZERO else bent
                work[y + r * k + h + j] = bent if x > ZERO else -x
    elif op == at.GATE:
        for r in range(R):
            t, s = a + (r + r) * k, a + (r + r) * k + k
            for j in range(k):
                work[y + r * k + j] = tanh(work[t + j]) * sigmoid(work[s + j])
    else:
        for r in range(R):
            t, s = a + (r + r) * k, a + (r + r) * k + k
            for j in range(k):
                work[y + r * k + j] = work[t + j] * sigmoid(work[s + j])


@jit
def _look_up(op, R, k, width, Q, work, a, y, weights, w, bias):
    """R rows of k numbers to place y, from rows of `width` codes at a: of each code its row of weights.

    Those of one-hot levels add up, upon a bias; those of embeddings stand side by side, a part for each code.
    """
    part = k // width if op == at.EMBEDDING else 0
    for r in range(R):
        here = y + r * k
        if op == at.LOOKUP and bias >= 0:
            copy(weights, bias, work, here, k)
        elif op == at.LOOKUP:
            for j in range(k):
                work[here + j] = ZERO
        for j in range(width):
            code = int(work[a + r * width + j])
            if op == at.EMBEDDING:
                copy(weights, w + code * k + j * part, work, here + j * part, part)
            elif code > 0:
                add_to(weights, w + (j * Q + code - 1) * k, work, here, k)


@jit
def _scaled(R, k, work, y, weights, gain, bias):
    """R rows of k numbers times a gain for each channel, plus a bias; a place of -1 is none."""
    if gain >= 0:
        for r in range(R):
            for j in range(k):
                work[y + r * k + j] *= weights[U(gain) + j]
    if bias >= 0:
        for r in range(R):
            for j in range(k):
                work[y + r * k + j] += weights[U(bias) + j]


@jit
def _lstm(table, u, begin, end, ints, weights, work, N, z, y, room, blas):
    """A step of a scan: z, rows of 4k, gets what the own states say, and becomes new states; the kept ones too."""
    k, K, T, columns = table[u, at.COUNT], table[u, at.K_NODE], table[u, at.OWN_T], table[u, at.COLUMNS]
    maps, cells = table[u, at.BASE], table[u, at.CELLS]
    for p in range(begin, end):
        for t in range(T):
            there = (maps + ints[table[u, at.OWN] + p * T + t] * K) * N
            for n in range(N):
                copy(work, there + n * K, work, room + ((p - begin) * N + n) * T * K + t * K, K)
    product((end - begin) * N, T * K, 4 * k, work, room, weights, table[u, at.WEIGHT], work, z, True, blas)
    for p in range(begin, end):
        kept = (cells + ints[table[u, at.ABOVE] + p] * K) * N
        put = (cells + ints[table[u, at.TO] + p] * K) * N
        for n in range(N):
            r = (p - begin) * N + n
            o, h, count = U(z + r * 4 * k), U(y + r * k), U(k)
            f, i, g = o + count, o + count + count, o + count + count + count
            before, after = U(kept + n * K), U(put + n * K)
            if columns < 0:
                for j in range(count):
                    c = sigmoid(work[f + j]) * work[before + j] + sigmoid(work[i + j]) * tanh(work[g + j])
                    work[after + j] = c
                    work[h + j] = sigmoid(work[o + j]) * tanh(c)
            else:
                for j in range(count):
                    column = ints[columns + np.int64(j)]
                    c = sigmoid(work[f + j]) * work[kept + n * K + column]
                    c += sigmoid(work[i + j]) * tanh(work[g + j])
                    work[put + n * K + column] = c
                    work[h + j] = sigmoid(work[o + j]) * tanh(c)


# --- drawing ----------------------------------------------------------------------------------------------------------


@jit
def play(step_from, steps, table, ints, weights, work, N, rooms, chunk, draw_from, draws, head, image, output):
    """Walk all moments, and draw what is due at the end of each.

    `head` is (code, Q, M, temperature); `image` (levels (P, N, C), which of them are fixed (P, N), uniforms (P, N, C),
    the numbers (Q,) that the model reads for levels, where the image stands in `work`); `output` (where the parameters
    stand, how many a pixel has). Draws as the heads do: see heads/.
    False, at once, where what the model computes is no distribution to draw from.
    """
    levels, fixed, uniforms, scaled, image_base = image
    output_base, P = output
    C = levels.shape[2]
    scores = np.empty(head[1] + head[2])
    for moment in range(len(step_from) - 1):
        walk(moment, moment + 1, step_from, steps, table, ints, weights, work, N, rooms, chunk)
        for d in range(draw_from[moment], draw_from[moment + 1]):
            pixel, channel, slot = draws[d, 1], draws[d, 2], draws[d, 3]
            for n in range(N):
                if not fixed[pixel, n]:
                    parameters = work[(output_base + slot * P) * N + n * P :]
                    u = uniforms[pixel, n, channel]
                    level = draw(parameters, levels[pixel, n], channel, u, head, scores)
                    if level < 0:
                        return False
                    levels[pixel, n, channel] = level
                work[((image_base + (pixel + 2) * C) * N) + n * C + channel] = scaled[levels[pixel, n, channel]]
    return True


# --- reading and writing ----------------------------------------------------------------------------------------------


@jit
def _gather(table, u, which, begin, end, ints, work, N, room):
    """An input's rows side by side in `room`: (end - begin) pixels of N images each, of READ_WIDTH numbers."""
    base, K, T = table[u, which + at.READ_BASE], table[u, which + at.READ_K], table[u, which + at.READ_T]
    index, pick, width = (
        table[u, which + at.READ_INDEX],
        table[u, which + at.READ_PICK],
        table[u, which + at.READ_WIDTH],
    )
    for p in range(begin, end):
        here = room + (p - begin) * N * width
        if pick < 0:
            for t in range(T):
                there = (base + ints[index + p * T + t] * K) * N
                if K == 1:
                    for n in range(N):
                        work[here + n * width + t] = work[there + n]
                else:
                    for n in range(N):
                        copy(work, there + n * K, work, here + n * width + t * K, K)
        else:
            for j in range(width):
                t, channel = divmod(ints[pick + j], K)
                there = (base + ints[index + p * T + t] * K) * N + channel
                for n in range(N):
                    work[here + n * width + j] = work[there + n * K]
    return room


@jit
def _scatter(table, u, begin, end, ints, work, N, y):
    """Rows of a unit's channels, from y on, to where they belong in the unit's map."""
    k, K, columns = table[u, at.COUNT], table[u, at.K_NODE], table[u, at.COLUMNS]
    for p in range(begin, end):
        to = (table[u, at.BASE] + ints[table[u, at.TO] + p] * K) * N
        for n in range(N):
            row = y + ((p - begin) * N + n) * k
            if columns < 0:
                copy(work, row, work, to + n * K, k)
            else:
                for j in range(k):
                    work[to + n * K + ints[columns + j]] = work[row + j]
