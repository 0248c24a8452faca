"""Reading a file of some size takes at most twice the memory of what is in it; the bytes of the file itself aside."""

import gzip
import io
import struct
import tracemalloc
import zipfile
import zlib

import fuzz_models
import fuzz_seeds as seeds
import numpy as np
import pytest
from fuzz_table import BY_NAME, SLACK
from PIL import Image

noise = np.random.default_rng(0)


def palette():
    rows = np.zeros((1500, 2001), np.uint8)
    rows[:, 1:] = noise.integers(7, size=(1500, 2000))
    header = (b"IHDR", struct.pack(">2I5B", 2000, 1500, 8, 3, 0, 0, 0))
    pixels = (b"IDAT", zlib.compress(rows.tobytes(), 1))
    return seeds.png([header, (b"PLTE", bytes(range(21))), pixels, (b"IEND", b"")])


def png(C):
    buffer = io.BytesIO()
    values = noise.integers(8, size=(2500, 2000, C), dtype=np.uint8)
    values[..., -1] = 255 if C == 4 else values[..., -1]
    Image.fromarray(values.squeeze()).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def numbers(*shape):
    return noise.integers(4, size=shape, dtype=np.uint8)


FILES = {
    "IDX": lambda: seeds.idx(numbers(12, 1000, 1000)),
    "IDX, gzipped": lambda: gzip.compress(seeds.idx(numbers(12, 1000, 1000)), 1),
    "npy": lambda: seeds.npy(numbers(3000, 4000)),
    "npy of big endian": lambda: seeds.npy(numbers(3000, 500).astype(">f8")),
    "npy in the order of Fortran": lambda: seeds.npy(np.asfortranarray(numbers(3000, 4000))),
    "npz": lambda: seeds.npz(zipfile.ZIP_DEFLATED, [(f"{n}.npy", seeds.npy(numbers(3000, 2000))) for n in "ab"]),
    "CIFAR-10, binary": lambda: bytes(3073 * 4000),
    "PNG": lambda: png(1),
    "PNG of colours": lambda: png(3),
    "PNG with alpha": lambda: png(4),
    "PNG with a palette": palette,
    "model file": lambda: fuzz_models.model({}, {"w": noise.random((1500, 1000)), "b": noise.random(1000)}),
}


@pytest.mark.parametrize("name", FILES)
def test_memory_of_a_sound_file(name):
    content = FILES[name]()
    read = BY_NAME[name.split(" of ")[0].split(" with")[0].split(" in ")[0]].decode
    tracemalloc.start()
    try:
        got = read("large", content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    size = sum(array.nbytes for array in got.values())
    assert size > 3e6 and peak < 2 * size + 4 * SLACK, f"{peak / size:.2f} times"
