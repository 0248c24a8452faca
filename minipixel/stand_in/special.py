"""Plays `cupyx.scipy.special`: those of its functions that minipixel uses."""

import scipy.special

from minipixel.stand_in.arrays import Function

erfcx = Function("erfcx", scipy.special.erfcx, ["x"])
log_ndtr = Function("log_ndtr", scipy.special.log_ndtr, ["x"])
