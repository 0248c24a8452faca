"""What dropout keeps, drawn by counter where it is needed, instead of being stored: `draws.sixteen_bits` in loops.

Maps lie in flat arrays as (pixel, image, channel). A counter gives the numbers of eight channels, so work is counted in
these octets: a chunk of them has its counters written down first, so that the ten rounds, and what follows them, are
loops without a branch, over many at once.
"""

import numpy as np

from minipixel.kernels.jit import inline, jit
from minipixel.kernels.rows import ZERO, U, copy

CHUNK = 256
"""So many counters at a time: 2,048 numbers of 16 bits, which stay in the nearest cache."""

WORD, LOW, EIGHT = U(32), U(2**32 - 1), U(8)
FIRST_MULTIPLIER, SECOND_MULTIPLIER = U(0xD2511F53), U(0xCD9E8D57)
FIRST_STEP, SECOND_STEP = U(0x9E3779B9), U(0xBB67AE85)


@jit
def dropped(x, x0, y, y0, pixels, N, K, first_pixel, first_image, layer, key, threshold, scale):
    """y = x * scale where it is kept, else 0, for `pixels` pixels of N images and K channels; its own adjoint.

    x and y may be the same place, but must not overlap otherwise. `key` has two uint32; kept is what has a number of 16
    bits from `threshold` on.
    """
    if x.ctypes.data != y.ctypes.data or x0 != y0:
        copy(x, x0, y, y0, pixels * N * K)  # in place, then: a loop on both would have to expect that they overlap
    counters, numbers = np.empty(3 * CHUNK, np.uint32), np.empty(2 * CHUNK, np.uint64)
    bits, threshold, K, octets, i = numbers.view(np.uint16), np.uint32(threshold), U(K), _octets(K), U(y0)
    total = U(pixels) * U(N) * octets
    for first in range(U(0), total, U(CHUNK)):
        n = min(U(CHUNK), total - first)
        _draw(counters, numbers, first, n, U(N), octets, first_pixel, first_image, layer, key)
        if EIGHT * octets == K:
            for j in range(EIGHT * n):
                y[i + j] = y[i + j] * scale if np.uint32(bits[j]) >= threshold else ZERO
            i += EIGHT * n
            continue
        for e in range(n):
            count = _channels(counters, e, K)
            for k in range(count):
                y[i + k] = y[i + k] * scale if np.uint32(bits[EIGHT * e + k]) >= threshold else ZERO
            i += count


@jit
def kept(y, pixels, N, K, first_image, layer, key, threshold):
    """Whether it is kept, for all pixels from the first on: booleans."""
    counters, numbers = np.empty(3 * CHUNK, np.uint32), np.empty(2 * CHUNK, np.uint64)
    bits, threshold, K, octets, i = numbers.view(np.uint16), np.uint32(threshold), U(K), _octets(K), U(0)
    total = U(pixels) * U(N) * octets
    for first in range(U(0), total, U(CHUNK)):
        n = min(U(CHUNK), total - first)
        _draw(counters, numbers, first, n, U(N), octets, 0, first_image, layer, key)
        if EIGHT * octets == K:
            for j in range(EIGHT * n):
                y[i + j] = np.uint32(bits[j]) >= threshold
            i += EIGHT * n
            continue
        for e in range(n):
            count = _channels(counters, e, K)
            for k in range(count):
                y[i + k] = np.uint32(bits[EIGHT * e + k]) >= threshold
            i += count


@inline
def _octets(K):
    """How many octets the K channels of a pixel take, of which the last may be a shorter one."""
    return (U(K) + U(7)) // EIGHT


@inline
def _channels(counters, e, K):
    """How many channels the octet e of a chunk has."""
    return min(EIGHT, K - EIGHT * U(counters[U(CHUNK) + e]))


@jit
def _draw(counters, numbers, first, n, N, octets, first_pixel, first_image, layer, key):
    """The numbers of the n octets from `first` on, and the counters that give them: pixels, then octets, then images.

    Numbers are in the order of their bits, so that they may be read as uint16: on little-endian hosts, as all are.
    """
    row, octet = first // octets, first % octets
    pixel, image = row // N, row % N
    for e in range(n):
        counters[e] = np.uint32(pixel + U(first_pixel))
        counters[U(CHUNK) + e] = np.uint32(octet)
        counters[U(2 * CHUNK) + e] = np.uint32(image + U(first_image))
        octet += U(1)
        if octet == octets:
            octet, image = U(0), image + U(1)
            if image == N:
                image, pixel = U(0), pixel + U(1)
    layer, u, v = U(layer), U(key[0]), U(key[1])
    for e in range(n):
        a, b, c, d = U(counters[e]), U(counters[U(CHUNK) + e]), layer, U(counters[U(2 * CHUNK) + e])
        a, b, c, d = _two_rounds(a, b, c, d, u, v, U(0))
        a, b, c, d = _two_rounds(a, b, c, d, u, v, U(2))
        a, b, c, d = _two_rounds(a, b, c, d, u, v, U(4))
        a, b, c, d = _two_rounds(a, b, c, d, u, v, U(6))
        a, b, c, d = _two_rounds(a, b, c, d, u, v, U(8))
        numbers[U(2) * e] = a | b << WORD
        numbers[U(2) * e + U(1)] = c | d << WORD


@inline
def _two_rounds(a, b, c, d, u, v, turn):
    """Written out, not a loop, so that the loop around it has no other in it, and is vectorised."""
    a, b, c, d = _one_round(a, b, c, d, u + turn * FIRST_STEP, v + turn * SECOND_STEP)
    return _one_round(a, b, c, d, u + (turn + U(1)) * FIRST_STEP, v + (turn + U(1)) * SECOND_STEP)


@inline
def _one_round(a, b, c, d, u, v):
    p, q = FIRST_MULTIPLIER * a, SECOND_MULTIPLIER * c
    return (q >> WORD) ^ b ^ (u & LOW), q & LOW, (p >> WORD) ^ d ^ (v & LOW), p & LOW
