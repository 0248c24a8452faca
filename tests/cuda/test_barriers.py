"""Threads of a block wait for each other where they must: without any one of the barriers a sanitizer finds a race."""

import re

import numpy as np
import pytest
from hand_on_device import HandTable, walk
from hand_tables import BUILD, Hand, Rows

from minipixel.kernels import cuda, opcodes
from minipixel.plan.device_places import Places
from minipixel.stand_in import KernelError, device, examined, threads_in_a_block
from minipixel.stand_in.compiler import compiler

try:
    compiler()
except RuntimeError as error:
    pytest.skip(str(error), allow_module_level=True)

BARRIER = "__syncthreads();"
FUNCTION = re.compile(r"^(?:[A-Z_]+|__device__ inline \w+) (\w+)\(", re.MULTILINE)
FILES = "common.h", "cells.cu", "sums.cu", "weights.cu"
SOURCE = "\n".join((cuda.files(cuda.__name__) / name).read_text(encoding="utf-8") for name in FILES)
STEPS, WIDTH, N, K, T = 3, 4, 2, 5, 2
THREADS = 3  # divides neither K nor WIDTH, or a thread might read what it wrote itself, and need no barrier
P = STEPS * WIDTH


def numbers(*shape):
    return device.asarray(np.random.default_rng(shape).uniform(0.1, 0.9, shape))


def places(array):
    return device.asarray(np.asarray(array, np.int32))


def scan_places():
    """Three rows of four cells, each of which reads the two above it; above the first row there are start states."""
    cells = np.arange(P)
    above = np.where(cells < WIDTH, P + cells, cells - WIDTH)
    beside = np.where(cells % WIDTH == WIDTH - 1, -1, above + 1)
    starts = np.arange(STEPS + 1) * WIDTH
    return np.stack([above, beside], axis=1), places(above), places(cells % WIDTH), places(starts)


def scan():
    table, above, _, starts = scan_places()
    maps = numbers(P, N, 4 * K), numbers(P + WIDTH, N, K), numbers(P + WIDTH, N, K)
    return N, (*maps, numbers(T, K, 4 * K), places(table), above, starts, STEPS, T, N, K), maps


def scan_x():
    table, above, column, starts = scan_places()
    start, readers, slots = Places(HandTable(), device).readers(table)
    gates, c, turned = numbers(P, N, 4 * K), numbers(P + WIDTH, N, K), numbers(T, 4 * K, K)
    maps = numbers(P, N, 4 * K), numbers(P + WIDTH, N, K), numbers(WIDTH, N, K), numbers(P, N, K)
    given = turned, start, readers, above, column, starts, STEPS, T, N, K, P, slots
    return N, (gates, c, *maps, *given), maps


def add_column():
    y = numbers(K)
    return 1, (numbers(9, K), y, 9, K), (y,)


def normalise():
    numbers_, channels = weight()
    return 1, (numbers_, channels, K, np.float64(1e-30)), (numbers_,)


def normalise_x():
    (numbers_, channels), g = weight(), numbers(11 * K)
    return 1, (numbers_, g, channels, K, np.float64(1e-30)), (g,)


def weight(rows=5):
    """A weight of K channels, its gains, and room for the result, one after another."""
    gains, result = rows * K, rows * K + K
    return numbers(11 * K), places([[0, gains, result, -1, rows, K, k] for k in range(K)])


CASES = {"scan": scan, "scan_x": scan_x, "add_column": add_column, "normalise": normalise, "normalise_x": normalise_x}
"""By kernel: its blocks, its arguments, and those arrays that it writes."""


def without_barriers():
    """Copies of the source, each without one barrier, and the kernels in these copies that are wrong."""
    names = FUNCTION.findall(SOURCE)
    bodies = dict(zip(names, FUNCTION.split(SOURCE)[2::2], strict=True))
    for number, place in enumerate(re.finditer(re.escape(BARRIER), SOURCE)):
        wrong = SOURCE[: place.start()] + SOURCE[place.end() :]
        inside = FUNCTION.findall(SOURCE[: place.start()])[-1]
        kernels = [name for name in CASES if name == inside or f"{inside}(" in bodies[name]]
        copy = re.sub(rf"\b({'|'.join(names)})\(", rf"\1_without_{number}(", wrong)
        yield copy, [f"{name}_without_{number}" for name in kernels]


COPIES = list(without_barriers())
ALL = "\n".join((SOURCE, *(copy for copy, _ in COPIES)))  # one source, since it takes a compiler seconds


def launch(name):
    """What stands in all arrays that the kernel writes."""
    blocks, arguments, written = CASES[name.partition("_without")[0]]()
    kernel = device.RawModule(code=ALL, options=("-DREAL=double", "--std=c++17")).get_function(name)
    given = tuple(np.int32(x) if isinstance(x, int) else x for x in arguments)
    kernel((blocks,), (cuda.THREADS,), given, shared_mem=8 * cuda.THREADS)
    return [array.get() for array in written]


def test_every_kernel_with_a_barrier_has_a_case():
    names, bodies = FUNCTION.findall(cuda.source()), FUNCTION.split(cuda.source())[2::2]
    waits = {name for name, body in zip(names, bodies, strict=True) if BARRIER in body}
    waits |= {name for name, body in zip(names, bodies, strict=True) if any(f"{other}(" in body for other in waits)}
    assert waits == {*CASES, "sum_of_block"}
    assert len(COPIES) == cuda.source().count(BARRIER) and all(wrong for _, wrong in COPIES)


@pytest.mark.parametrize("name", CASES)
def test_several_threads_compute_what_one_computes(name):
    wanted = launch(name)
    for threads in (2, 3, 5, 8):
        with threads_in_a_block(threads):
            for got, array in zip(launch(name), wanted, strict=True):
                np.testing.assert_allclose(got, array, rtol=1e-13)


@pytest.mark.parametrize("what", ["threads", pytest.param("memory", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", CASES)
def test_the_sanitizers_find_nothing(name, what):
    with examined(what, THREADS):
        launch(name)


@pytest.mark.parametrize("number", range(len(COPIES)))
def test_without_any_one_barrier_there_is_a_race(number):
    """In one at least of the kernels that have it."""
    _, wrong = COPIES[number]
    assert any(map(has_race, wrong)), wrong


def has_race(name):
    with examined("threads", THREADS):
        try:
            launch(name)
        except KernelError as error:
            return "data race" in str(error)
    return False


@pytest.mark.slow
@pytest.mark.parametrize("what", ["threads", "memory"])
def test_the_sanitizers_find_nothing_in_any_opcode(what):
    """No number is written by two threads, and nothing is read or written beside an array."""
    for name, number in opcodes.OPCODES.items():
        hand = Hand(name, Rows([2, 3, 3]), 2, np.random.default_rng(number), whole=True)
        BUILD[name](hand, 3)
        with examined(what, THREADS):
            hand.run(lambda *table: walk(*table, xp=device), "float64")
