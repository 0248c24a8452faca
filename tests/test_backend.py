"""The data picks the array library."""

import sys
import types

import numpy as np
import pytest

from minipixel.backend import array_module, to_cpu, to_device
from minipixel.stand_in import device, to_device_array


def test_host_data():
    assert array_module(np.zeros(2)) is np
    assert array_module(np.float32(1), 2.0, 3) is np


def test_device_data():
    x = to_device_array(np.zeros(2))
    assert array_module(x) is device
    assert array_module(1.0, x) is device
    np.testing.assert_array_equal(to_cpu(x), np.zeros(2))


def test_a_cupy_array_is_known_by_its_class(monkeypatch):
    """CuPy 14 arrays do not answer __array_namespace__."""
    cupy = types.ModuleType("cupy")
    ndarray = type("ndarray", (), {"__module__": "cupy._core.core"})
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    assert array_module(ndarray()) is cupy


def test_no_array_at_all():
    with pytest.raises(TypeError, match=r"^array_module: got a list, wanted NumPy or CuPy arrays$"):
        array_module([1, 2])


def test_without_cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(ImportError, match=r"^GPU: CuPy is not installed; pip install 'minipixel\[cuda12\]'"):
        to_device(np.zeros(2))


def test_host_arrays_are_returned_as_they_are():
    x = np.zeros(2)
    assert to_cpu(x) is x
