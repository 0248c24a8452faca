"""A strict stand-in for CuPy, so that code for a GPU can be run, tested and read on a machine without one."""

from minipixel.stand_in.arrays import NAMES, DeviceArray, to_device_array, to_host
from minipixel.stand_in.counting import Counts, counted
from minipixel.stand_in.launching import threads_in_a_block
from minipixel.stand_in.library import device, special

__all__ = [
    "NAMES",
    "Counts",
    "DeviceArray",
    "counted",
    "device",
    "special",
    "threads_in_a_block",
    "to_device_array",
    "to_host",
]
