"""Memory that a worker uses again: ordinary arrays, never two of them in one place."""

import gc
import threading

import numpy as np
import pytest

from minipixel import arena

SHAPE = (40, 1000)
BYTES = 4 * 40 * 1000


def place(array):
    return array.ctypes.data


def test_what_was_let_go_of_is_used_again():
    with arena.arena():
        first = arena.empty(SHAPE, np.float32)
        where = place(first)
        del first
        assert place(arena.empty((1000, 40), np.float32)) == where  # any shape of that many bytes


@pytest.mark.parametrize(
    "view", [lambda x: x[3:], lambda x: x.reshape(-1), lambda x: x.T, memoryview, lambda x: x.view("i4")]
)
def test_a_view_keeps_it(view):
    with arena.arena():
        kept = view(arena.empty(SHAPE, np.float32))
        others = [arena.empty(SHAPE, np.float32) for _ in range(3)]
        where = place(np.asarray(kept))
        assert not any(place(other) <= where < place(other) + BYTES for other in others)


@pytest.mark.parametrize("size", [arena.SMALL, arena.SMALL + 4, 10**6, 34_760_000, 2**25, 2**25 + 4])
def test_nearly_one_size_takes_turns_in_one_block(size):
    with arena.arena() as blocks:
        arena.empty((size,), np.uint8)
        (room,) = blocks
        assert size <= room <= size * 17 / 16
        where = place(arena.empty((room,), np.uint8))
        assert where == place(arena.empty((size,), np.uint8)) and len(blocks) == 1


def test_arrays_alive_never_overlap():
    rng, alive = np.random.default_rng(0), {}
    with arena.arena():
        for turn in range(400):
            if alive and rng.random() < 0.5:
                array, value = alive.pop(int(rng.choice(list(alive))))
                assert (array == value).all()
            rows = int(rng.integers(10, 13)) * 4
            alive[turn] = arena.empty((rows, 1000), np.float32), turn
            alive[turn][0].fill(turn)
        assert all((array == value).all() for array, value in alive.values())


def test_it_is_an_ordinary_array():
    with arena.arena():
        array = arena.zeros(SHAPE, np.float64)
        assert type(array) is np.ndarray and array.dtype == np.float64 and not array.any()
        assert array.flags.c_contiguous and array.flags.writeable and place(array) % arena.LINE == 0
    array[0] = 1  # outlives the arena
    gc.collect()
    assert array.sum() == 1000


def test_small_arrays_and_other_threads_take_it_from_numpy():
    with arena.arena():
        assert arena.empty((3,), np.float32).base is None
        bases = []
        thread = threading.Thread(target=lambda: bases.append(arena.empty(SHAPE, np.float32).base))
        thread.start()
        thread.join()
    assert bases == [None]
    assert arena.empty(SHAPE, np.float32).base is None


def test_arenas_nest():
    with arena.arena():
        outer = arena.empty(SHAPE, np.float32)
        where = place(outer)
        with arena.arena():
            del outer
            assert place(arena.empty(SHAPE, np.float32)) != where  # it went back to where it came from
        assert place(arena.empty(SHAPE, np.float32)) == where


def test_a_copy_for_now_stands_in_the_largest_block():
    rng = np.random.default_rng(0)
    array = rng.random((30, 1000))
    with arena.arena():
        large, larger = arena.empty((2 * array.size,), array.dtype), arena.empty((3 * array.size,), array.dtype)
        start, end = place(larger), place(larger) + larger.nbytes
        copy = arena.copied_for_now(array)
        assert not start <= place(copy) < end  # nothing is free
        del large, larger
        copy = arena.copied_for_now(array)
        assert start <= place(copy) < end and np.array_equal(copy, array) and copy.dtype == array.dtype
        other = arena.empty((3 * array.size,), array.dtype)
        assert place(other) != start  # the block is in use
        del copy
        assert place(arena.empty((3 * array.size,), array.dtype)) == start
    assert np.array_equal(arena.copied_for_now(array), array)  # and without an arena


def test_threads_of_one_arena_use_each_others_memory():
    with arena.arena() as blocks:
        where = []

        def work():
            arena.join_arena(blocks)
            where.append(place(arena.empty(SHAPE, np.float32)))

        for _ in range(2):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        assert where == [place(arena.empty(SHAPE, np.float32))] * 2
