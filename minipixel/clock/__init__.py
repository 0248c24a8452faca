"""The clock says when each value of a model is known: the proof of causality, the sampling schedule, the wavefront."""

from minipixel.clock.blame import prove
from minipixel.clock.times import Clock, raster, smallest_slope
from minipixel.clock.trace import Trace

__all__ = ["Clock", "Trace", "prove", "raster", "smallest_slope"]
