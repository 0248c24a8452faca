"""exp, log, tanh and their relatives for compiled loops: polynomials, so that a loop over them is vectorised.

For float64 they are those of the C library. For float32 the largest errors over all numbers there are, in ulp (steps
between neighbouring numbers there), which tests/test_functions.py checks:

    exp          1.5    below -87.34, where the result is smaller than all normal numbers, 0
    expm1        1.5
    log          2      of denormal numbers, too
    log1p        2
    log_sigmoid  3      0 where exp is
    tanh         5      below 1e-35, whose products have fewer digits, 2e-40
    sigmoid             2e-7, an ulp of 1 and not of itself: for gates, and not for losses

Nanoseconds a number in a loop over 50,000, in NumPy, and in the C library as Numba calls it (an Intel Xeon):

    exp    0.44  0.45   3.4        log    0.48  0.42   4.0        tanh   0.35  0.34  18
    expm1  0.44  0.30  13          log1p  0.54  0.53  13
"""

import math

import numba
import numpy as np
from llvmlite import ir
from numba.extending import intrinsic, overload

from minipixel.kernels.jit import FAST, inline

F, INT = np.float32, np.int32
ZERO, HALF, ONE = F(0), F(0.5), F(1)  # beside float64 they are float64, too

LOG2_E, LN_2_HIGH, LN_2_LOW = F(1.44269504088896341), F(0.693359375), F(-2.12194440e-4)
LEAST, MOST = F(-87.3365402), F(88.7228317)
"""Beyond these the exponential is smaller than all normal numbers, or larger than all there are."""
ROUNDER, ROUNDER_BITS = F(1.5 * 2**23), INT(0x4B400000)
"""A number that is added to this one is rounded to an integer, which then stands in its last bits."""
BIASED_ONE, SQRT_HALF_BITS, FRACTION = INT(127), INT(0x3F3504F3), INT(0x007FFFFF)
TINY, SCALE_UP = F(1.17549435e-38), F(2**23)
INFINITY, NAN = F(np.inf), F(np.nan)


@intrinsic
def _bits(typing, x):
    """The bits of a float32, as an int32."""

    def code(context, builder, signature, values):
        return builder.bitcast(values[0], ir.IntType(32))

    return numba.int32(numba.float32), code


@intrinsic
def _of_bits(typing, bits):
    """The float32 of such bits: the last 32 of an integer, which Numba makes longer in every sum."""

    def code(context, builder, signature, values):
        return builder.bitcast(builder.trunc(values[0], ir.IntType(32)), ir.FloatType())

    return numba.float32(numba.int64), code


@intrinsic
def _fused(typing, a, b, c):
    """a * b + c, rounded once, and as it stands: elsewhere the compiler may take sums apart."""

    def code(context, builder, signature, values):
        return builder.fma(*values)

    return numba.float32(numba.float32, numba.float32, numba.float32), code


def _for_float32(function, of_c_library):
    """Give `function` two bodies: for float64 that of the C library, for float32 what is decorated."""

    def decorate(body):
        @overload(function, jit_options={"fastmath": FAST, "error_model": "numpy"})
        def choose(x):
            return body if x == numba.float32 else of_c_library

        return body

    return decorate


# --- exponentials -----------------------------------------------------------------------------------------------------


@inline
def _split(x):
    """An integer n, and e ** r - 1 with its first term r, so that x = n ln 2 + r, |r| <= ln 2 / 2."""
    n = INT(_bits(x * LOG2_E + ROUNDER) - ROUNDER_BITS)
    r = _fused(F(n), -LN_2_LOW, _fused(F(n), -LN_2_HIGH, x))
    # The coefficients are those of the Cephes library (expf), as are the two parts of ln 2.
    p = F(1.9875691500e-4) * r + F(1.3981999507e-3)
    p = p * r + F(8.3334519073e-3)
    p = p * r + F(4.1665795894e-2)
    p = p * r + F(1.6666665459e-1)
    p = p * r + F(5.0000001201e-1)
    return n, p * (r * r) + r


def exp(x):
    """e ** x."""


@_for_float32(exp, lambda x: math.exp(x))
def _exp(x):
    n, q = _split(min(max(x, LEAST), MOST))
    y = _of_bits(_bits(ONE + q) + (n << INT(23)))  # times 2 ** n, in its exponent
    y = ZERO if x < LEAST else y
    y = INFINITY if x > MOST else y
    return y if x == x else x


def expm1(x):
    """e ** x - 1, exact to its last digits near 0, too."""


@_for_float32(expm1, lambda x: math.expm1(x))
def _expm1(x):
    n, q = _split(min(max(x, F(-20)), MOST))
    half = _of_bits((n + (BIASED_ONE - INT(1))) << INT(23))  # of 2 ** n, which may be beyond all numbers
    y = half * q + (half - HALF)
    y = INFINITY if x > MOST else y + y
    return y if x == x else x


# --- logarithms -------------------------------------------------------------------------------------------------------


@inline
def _log(m, n):
    """log((1 + m) 2 ** n), for 1 + m between the root of a half and that of two."""
    s = m * m
    # The coefficients are those of the Cephes library (logf).
    p = F(7.0376836292e-2) * m + F(-1.1514610310e-1)
    p = p * m + F(1.1676998740e-1)
    p = p * m + F(-1.2420140846e-1)
    p = p * m + F(1.4249322787e-1)
    p = p * m + F(-1.6668057665e-1)
    p = p * m + F(2.0000714765e-1)
    p = p * m + F(-2.4999993993e-1)
    p = p * m + F(3.3333331174e-1)
    return (m + (p * m * s + (F(n) * LN_2_LOW - HALF * s))) + F(n) * LN_2_HIGH


def log(x):
    """The natural logarithm; of 0 it is -infinity, of less NaN."""


@_for_float32(log, lambda x: math.log(x))
def _log_of(x):
    small = x < TINY
    bits = INT(_bits(x * SCALE_UP if small else x) - SQRT_HALF_BITS)
    n = INT((bits >> INT(23)) - (INT(23) if small else INT(0)))
    y = _log(_of_bits((bits & FRACTION) + SQRT_HALF_BITS) - ONE, n)
    y = -INFINITY if x == ZERO else y
    y = NAN if x < ZERO else y
    return y if x < INFINITY else x  # infinity, NaN


def log1p(x):
    """log(1 + x), exact to its last digits near 0, too."""


@_for_float32(log1p, lambda x: math.log1p(x))
def _log1p(x):
    whole = ONE + x
    bits = INT(_bits(whole) - SQRT_HALF_BITS)
    n = INT(bits >> INT(23))
    scale = _of_bits((BIASED_ONE - n) << INT(23))
    near = x * scale + (scale - ONE)  # (1 + x) / 2 ** n - 1, with the digits of x that 1 + x has lost
    far = _of_bits((bits & FRACTION) + SQRT_HALF_BITS) - ONE
    y = _log(far if x > SCALE_UP else near, n)
    y = -INFINITY if x == -ONE else y
    y = NAN if x < -ONE else y
    return y if x < INFINITY else x  # infinity, NaN


@inline
def log_sigmoid(x):
    """log(1 / (1 + e ** -x)), without overflow on either side."""
    return min(x, ZERO) - log1p(exp(-abs(x)))


# --- gates ------------------------------------------------------------------------------------------------------------


def tanh(x):
    """tanh, for float32 by a quotient of polynomials."""


@_for_float32(tanh, lambda x: math.tanh(x))
def _tanh_quotient(x):
    # The coefficients are those of the Eigen library (Eigen/src/Core/MathFunctionsImpl.h); past the bound tanh is 1.
    x = min(max(x, F(-7.90531110763549805)), F(7.90531110763549805))
    s = x * x
    p = F(-2.76076847742355e-16) * s + F(2.00018790482477e-13)
    p = p * s + F(-8.60467152213735e-11)
    p = p * s + F(5.12229709037114e-08)
    p = p * s + F(1.48572235717979e-05)
    p = p * s + F(6.37261928875436e-04)
    p = p * s + F(4.89352455891786e-03)
    q = F(1.19825839466702e-06) * s + F(1.18534705686654e-04)
    q = q * s + F(2.26843463243900e-03)
    q = q * s + F(4.89352518554385e-03)
    return x * p / q


@inline
def sigmoid(x):
    """1 / (1 + e ** -x), by way of tanh: right to an ulp of 1, not of itself, so for gates and not for losses."""
    return HALF * tanh(HALF * x) + HALF


# --- gelu -------------------------------------------------------------------------------------------------------------

LINEAR = 2 * math.sqrt(2 / math.pi)
CUBIC, BOUND = 0.044715 * LINEAR, 20.0
LINEAR_32, CUBIC_32, BOUND_32, THREE = F(LINEAR), F(CUBIC), F(BOUND), F(3)
"""Those of ops/pointwise.py. Numbers of 64 bits would bring a loop over float32 to their own precision."""


@inline
def _sigmoid_of_gelu(near):
    return 1.0 / (1.0 + math.exp(-near * (LINEAR + CUBIC * near * near)))


@inline
def _gelu_slope_of_float64(x):
    near = min(max(x, -BOUND), BOUND)
    s = _sigmoid_of_gelu(near)
    return s + near * s * (1.0 - s) * (LINEAR + 3.0 * CUBIC * near * near)


def gelu(x):
    """x / (1 + e ** -v), where v is x (c + a x**2)."""


@_for_float32(gelu, lambda x: x * _sigmoid_of_gelu(min(max(x, -BOUND), BOUND)))
def _gelu(x):
    near = min(max(x, -BOUND_32), BOUND_32)
    return x / (ONE + exp(-near * (LINEAR_32 + CUBIC_32 * near * near)))


def gelu_slope(x):
    """The slope of gelu."""


@_for_float32(gelu_slope, lambda x: _gelu_slope_of_float64(x))
def _gelu_slope(x):
    near = min(max(x, -BOUND_32), BOUND_32)
    square = near * near
    s = ONE / (ONE + exp(-near * (LINEAR_32 + CUBIC_32 * square)))
    return s + near * s * (ONE - s) * (LINEAR_32 + THREE * CUBIC_32 * square)
