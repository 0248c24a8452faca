"""A strict stand-in for CuPy, so that code for a GPU can be run, tested and read on a machine without one."""

from minipixel.stand_in.arrays import NAMES, DeviceArray, device, special, to_device_array, to_host

__all__ = ["NAMES", "DeviceArray", "device", "special", "to_device_array", "to_host"]
