"""tanh and its relatives for compiled loops: polynomials, so that a loop over them is vectorised.

For float64 they are those of the C library.
"""

import math

import numba
import numpy as np
from numba.extending import overload

from minipixel.kernels.jit import FAST, inline

HALF, ONE = np.float32(0.5), np.float32(1)  # beside float64 they are float64, too


def tanh(x):
    """tanh, for float32 by a quotient of polynomials, for float64 by the C library.

    The quotient is right to 5 ulp from 1e-35 on; of smaller numbers, whose products have fewer digits, to 2e-40.
    """


@overload(tanh, jit_options={"fastmath": FAST, "error_model": "numpy"}, inline="always")
def _tanh(x):
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


@inline
def sigmoid(x):
    """1 / (1 + e ** -x), by way of tanh: right to an ulp of 1, not of itself, so for gates and not for losses."""
    return HALF * tanh(HALF * x) + HALF


@inline
def expm1(x):
    """e ** x - 1 for x <= 0, by way of tanh: nothing cancels there."""
    t = tanh(HALF * x)
    return (t + t) / (ONE - t)
