"""The stand-in plays CuPy where it is asked to, and nowhere else."""

import doctest
import subprocess
import sys
import threading

import numpy as np
import pytest

from minipixel import backend, stand_in
from minipixel.errors import DeviceError
from minipixel.stand_in import DeviceArray, installed


def test_the_example_of_its_docstring():
    assert doctest.testmod(stand_in) == (0, 4)


def test_it_stands_for_cupy_in_every_thread_and_only_within():
    found = []
    with installed():
        thread = threading.Thread(target=lambda: found.append(backend.to_device(np.zeros(3))))
        thread.start()
        thread.join()
    assert isinstance(found[0], DeviceArray)
    if "cupy" not in sys.modules:
        with pytest.raises((ImportError, DeviceError)):
            backend.to_device(np.zeros(3))


def test_the_special_functions_go_by_the_library():
    assert backend.special(np).__name__ == "scipy.special"
    assert backend.special(stand_in.device) is stand_in.special


def test_minipixel_is_imported_without_it():
    code = "import sys, minipixel, minipixel.cli; assert not [name for name in sys.modules if 'stand_in' in name]"
    subprocess.run([sys.executable, "-c", code], check=True)
