"""The walker: one compiled loop over a table of row instructions. Nothing here knows a model, a layer or a tape.

A table (see plan/table.py) is rows of numbers: an opcode, up to four operands, a place among the weights, and, where
pixels meet, a list of runs (see opcodes.py). All maps, line buffers and rows lie in one flat array, `work`, as (slots,
N, channels); gradients of weights in `grads`, at the places of the weights. plan/interpreter.py says what each
instruction computes.
"""

from minipixel.kernels import opcodes as code
from minipixel.kernels.blas import add_weight_gradient, constants, gemm
from minipixel.kernels.cells import cells, cells_back
from minipixel.kernels.jit import jit
from minipixel.kernels.philox import dropped
from minipixel.kernels.pointwise import adjoint, function
from minipixel.kernels.rows import ZERO, U, add_to, copy


@jit
def walk(table, groups, starts, runs, at, rooms, work, weights, grads, N, draw):
    """All groups, one after another: each goes through its rows, down or, on the way back, up."""
    blas = constants(work)
    for group in range(len(groups)):
        first, last, steps, lead, back = groups[group]
        for k in range(steps + lead):
            r = steps - 1 + lead - k if back else k
            for i in range(first, last):
                row = r - table[i, code.LEAD]
                if 0 <= row < steps:
                    _step(table, i, row, starts, runs, at, rooms, work, weights, grads, N, draw, blas)


@jit
def _place(p, i, o, r, start, N):
    """Where row r of an operand begins, which is slot `start` of a whole map."""
    if p[i, o + 1] > 0:
        return (p[i, o] + (r % p[i, o + 1]) * p[i, o + 2] * p[i, o + 3]) * N
    return (p[i, o] + start * p[i, o + 3]) * N


@jit
def _seen(p, i, o, runs, j, N):
    """Where the pixels begin that run j reads."""
    if p[i, o + 1] > 0:
        return (p[i, o] + ((runs[j, code.IN_ROW] % p[i, o + 1]) * p[i, o + 2] + runs[j, code.IN]) * p[i, o + 3]) * N
    return (p[i, o] + runs[j, code.IN_SLOT] * p[i, o + 3]) * N


@jit
def _gather(x, there, by, here, count, n):
    for j in range(count):
        copy(x, there + j * by * n, x, here + j * n, n)


@jit
def _scatter(x, here, there, by, count, n):
    for j in range(count):
        add_to(x, here + j * n, x, there + j * by * n, n)


@jit
def _step(p, i, r, starts, runs, at, rooms, work, weights, grads, N, draw, blas):
    op, s = p[i, code.OP], starts[p[i, code.STARTS] + r]
    pixels = starts[p[i, code.STARTS] + r + 1] - s
    R, KA, KB, w = pixels * N, p[i, code.A + 3], p[i, code.B + 3], p[i, code.W]
    a, b = _place(p, i, code.A, r, s, N), _place(p, i, code.B, r, s, N)
    if op == code.MATMUL:
        gemm(R, KB, KA, work, a, False, weights, w, work, b, p[i, code.FLAG] > 0, blas)
    elif op == code.MATMUL_W:
        add_weight_gradient(R, KA, KB, work, a, work, b, grads, w, blas)
    elif op == code.TAPS or op == code.TAPS_W or op == code.TAPS_X:
        for j in range(at[p[i, code.RUNS] + r], at[p[i, code.RUNS] + r + 1]):
            _tap(p, i, op, runs, j, rooms, work, weights, grads, N, b, blas)
    elif op == code.LOOKUP or op == code.LOOKUP_W:
        for j in range(at[p[i, code.RUNS] + r], at[p[i, code.RUNS] + r + 1]):
            _look_up(p, i, op, runs, j, work, weights, grads, N, b)
    elif op == code.LAID or op == code.LAID_W:
        _laid(p, i, r, op, runs, at, rooms, work, weights, grads, N, R, b, blas)
    elif code.RELU <= op <= code.DROPOUT or code.RELU_X <= op < code.CELLS_X:
        _pointwise(p, i, r, s, op, R, work, weights, grads, N, draw, a, b)
    elif op == code.CELLS or op == code.CELLS_X:
        _cells(p, i, r, s, op, runs, at, work, grads, N)
    elif op == code.MOVE or op == code.MOVE_X:
        n = N * KA
        for j in range(at[p[i, code.RUNS] + r], at[p[i, code.RUNS] + r + 1]):
            x, y = _seen(p, i, code.A, runs, j, N), b + runs[j, code.OUT] * n
            for c in range(runs[j, code.COUNT]):
                here, there = y + c * runs[j, code.OUT_STEP] * n, x + c * runs[j, code.IN_STEP] * n
                if op == code.MOVE_X:
                    add_to(work, here, work, there, n)
                elif p[i, code.FLAG] > 0:
                    add_to(work, there, work, here, n)
                else:
                    copy(work, there, work, here, n)
    else:
        _biases(p[i, code.L], op, R * KB, work, a, b, weights, grads, w)


@jit
def _biases(length, op, n, work, a, b, weights, grads, w):
    """What belongs to the channels, repeated; and rows added to rows."""
    n, a, b, w, length = U(n), U(a), U(b), U(w), U(max(length, 1))
    if op == code.ADDROW:
        add_to(work, a, work, b, n)
    elif op == code.ZERO:
        for o in range(n):
            work[b + o] = ZERO
    elif op == code.FILL:
        for o in range(U(0), n, length):
            for k in range(min(length, n - o)):
                work[b + o + k] = weights[w + k]
    elif op == code.ADDBIAS:
        for o in range(U(0), n, length):
            for k in range(min(length, n - o)):
                work[b + o + k] = work[a + o + k] + weights[w + k]
    elif op == code.BIASRELU:
        for o in range(U(0), n, length):
            for k in range(min(length, n - o)):
                work[b + o + k] = max(work[b + o + k] + weights[w + k], ZERO)
    elif op == code.SUMS:
        for o in range(U(0), n, length):
            for k in range(min(length, n - o)):
                grads[w + k] += work[b + o + k]


@jit
def _tap(p, i, op, runs, j, rooms, work, weights, grads, N, b, blas):
    """One run through one tap: its product, or one of the two ways back. The weights of the latter are turned."""
    KA, KB = p[i, code.A + 3], p[i, code.B + 3]
    n, out_by, in_by = runs[j, code.COUNT], runs[j, code.OUT_STEP], runs[j, code.IN_STEP]
    w = p[i, code.W] + runs[j, code.TAP] * KA * KB
    x, y = _seen(p, i, code.A, runs, j, N), b + runs[j, code.OUT] * N * KB
    room_x, room_y = rooms[0] * N, rooms[1] * N
    if op != code.TAPS_X and in_by != 1:
        _gather(work, x, in_by, room_x, n, N * KA)
        x = room_x
    if op != code.TAPS and out_by != 1:
        _gather(work, y, out_by, room_y, n, N * KB)
        y = room_y
    if op == code.TAPS_W:
        add_weight_gradient(n * N, KA, KB, work, x, work, y, grads, w, blas)
    elif op == code.TAPS:
        if out_by == 1:
            gemm(n * N, KB, KA, work, x, False, weights, w, work, y, True, blas)
        else:
            gemm(n * N, KB, KA, work, x, False, weights, w, work, room_y, False, blas)
            _scatter(work, room_y, y, out_by, n, N * KB)
    elif in_by == 1:
        gemm(n * N, KA, KB, work, y, False, weights, w, work, x, True, blas)
    else:
        gemm(n * N, KA, KB, work, y, False, weights, w, work, room_x, False, blas)
        _scatter(work, room_x, x, in_by, n, N * KA)


@jit
def _look_up(p, i, op, runs, j, work, weights, grads, N, b):
    """One run through one tap: of each code its row of weights, added to y; or what y says to that row."""
    KA, KB, Q, step = p[i, code.A + 3], p[i, code.B + 3], p[i, code.L], p[i, code.X]
    width = step if step > 0 else KB
    w = p[i, code.W] + runs[j, code.TAP] * KA * Q * width
    x, y = _seen(p, i, code.A, runs, j, N), b + runs[j, code.OUT] * N * KB
    for c in range(runs[j, code.COUNT]):
        codes, here = x + c * runs[j, code.IN_STEP] * N * KA, y + c * runs[j, code.OUT_STEP] * N * KB
        for n in range(N):
            for k in range(KA):
                row = w + (k * Q + int(work[codes + n * KA + k])) * width
                if op == code.LOOKUP:
                    add_to(weights, row, work, here + n * KB + k * step, width)
                else:
                    add_to(work, here + n * KB + k * step, grads, row, width)


@jit
def _laid(p, i, r, op, runs, at, rooms, work, weights, grads, N, R, b, blas):
    """What all taps of a thin map see, laid side by side: a row for each tap and channel, one product for all."""
    KA, KB, taps, room, w = p[i, code.A + 3], p[i, code.B + 3], p[i, code.T], rooms[2] * N, p[i, code.W]
    for o in range(U(room), U(room + taps * KA * R)):
        work[o] = ZERO
    for j in range(at[p[i, code.RUNS] + r], at[p[i, code.RUNS] + r + 1]):
        x = _seen(p, i, code.A, runs, j, N)
        for c in range(runs[j, code.COUNT]):
            q, o = x + c * runs[j, code.IN_STEP] * N * KA, room + (runs[j, code.OUT] + c * runs[j, code.OUT_STEP]) * N
            for k in range(KA):
                t = U(o + (runs[j, code.TAP] * KA + k) * R)
                for n in range(U(N)):
                    work[t + n] = work[U(q + k) + n * U(KA)]
    if op == code.LAID:
        gemm(R, KB, taps * KA, work, room, True, weights, w, work, b, True, blas)
    else:
        gemm(taps * KA, KB, R, work, room, False, work, b, grads, w, True, blas)


@jit
def _cells(p, i, r, s, op, runs, at, work, grads, N):
    """The cells of a row of a scan: A gates, B c, X h. Back: C and D the gradients of gates and h, X that of c."""
    K, gates, here = p[i, code.B + 3], _place(p, i, code.A, r, s, N), s * N * p[i, code.B + 3]
    c = work[p[i, code.B] * N :]
    for j in range(at[p[i, code.RUNS] + r], at[p[i, code.RUNS] + r + 1]):
        o, n, before = runs[j, code.OUT] * N * K, runs[j, code.COUNT] * N, runs[j, code.IN_SLOT] * N * K
        if op == code.CELLS:
            cells(work, gates + 4 * o, c, before, work[p[i, code.X] * N :], here + o, n, K)
            continue
        h_g, z_g = _place(p, i, code.D, r, s, N) + o, _place(p, i, code.C, r, s, N) + 4 * o
        c_g = (p[i, code.X] + runs[j, code.TAP] * K) * N
        cells_back(work, gates + 4 * o, c, before, here + o, work, h_g, work, c_g, work, z_g, n, K)
        if runs[j, code.IN_ROW] < 0:  # these follow the start state
            if p[i, code.FLAG] > 0:
                _biases(p[i, code.L], code.SUMS, n * K, work, 0, c_g, grads, grads, p[i, code.W])
            _biases(0, code.ZERO, n * K, work, 0, c_g, grads, grads, 0)


@jit
def _pointwise(p, i, r, s, op, R, work, weights, grads, N, draw, a, b):
    KA, KB, c, w, length = p[i, code.A + 3], p[i, code.B + 3], _place(p, i, code.C, r, s, N), p[i, code.W], p[i, code.L]
    if op == code.DROPOUT:  # its own adjoint
        key, first = draw
        dropped(work, a, work, b, R // N, N, KA, s, first, p[i, code.X], key, p[i, code.T], weights[w])
    elif (
        op == code.PART or op == code.PART_X
    ):  # code.A into channels code.X.. of code.B; channels code.X.. of code.A set in code.B, or added
        for q in range(R if KA < KB or op == code.PART_X else 0):
            if op == code.PART:
                copy(work, a + q * KA, work, b + q * KB + p[i, code.X], KA)
            elif p[i, code.FLAG] > 0:
                add_to(work, a + q * KA + p[i, code.X], work, b + q * KB, KB)
            else:
                copy(work, a + q * KA + p[i, code.X], work, b + q * KB, KB)
        if KA == KB and op == code.PART:
            copy(work, a, work, b, R * KA)
    elif op < code.DROPOUT:
        function(op, work, a, work, b, work, c, R, KA, weights, w, length)
    else:
        adjoint(op, work, a, work, b, work, c, R, KA, weights, w, length, grads)
