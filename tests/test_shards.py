"""Sums over shards: the same bits whoever finishes first."""

import random
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minipixel.shards import Workers
from minipixel.tree import Tree


def numbers(S, seed):
    """Of sizes so different that the order of additions shows in the last bits."""
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((S, 3)) * 10.0 ** rng.integers(-4, 5, (S, 1))).astype(np.float32)


def along_a_tree(values):
    """The definition: the sum of the largest whole tree that does not take all of them, plus that of the rest."""
    if len(values) == 1:
        return values[0]
    left = 1 << (len(values) - 1).bit_length() - 1
    return along_a_tree(values[:left]) + along_a_tree(values[left:])


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 70), st.integers(0, 2**32 - 1))
def test_any_order_gives_the_sum_along_the_tree(S, seed):
    values, order = numbers(S, seed), random.Random(seed).sample(range(S), S)
    tree = Tree(S, np.add)
    for i in order:
        assert not hasattr(tree, "root")
        tree.put(i, values[i])
    np.testing.assert_array_equal(tree.root, along_a_tree(values))


def test_the_order_of_additions_shows():
    """The test above can fail."""
    values = numbers(64, 0)
    assert (along_a_tree(values) != np.add.reduce(values[::-1])).any()


@pytest.mark.parametrize("order", [range(11), range(10, -1, -1), [3, 8, 10, 1, 5, 0, 9, 2, 7, 4, 6]])
def test_left_goes_first_and_nothing_is_kept_that_is_not_needed(order):
    """`add` may be one that does not commute; n values in a row leave a sum for each 1 among the bits of n."""
    tree = Tree(11, lambda a, b: f"({a} {b})")
    for n, i in enumerate(order, start=1):
        tree.put(i, str(i))
        assert order != range(11) or n == 11 or len(tree._waiting) == n.bit_count()
    assert tree.root == "((((0 1) (2 3)) ((4 5) (6 7))) ((8 9) 10))" and not tree._waiting


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 40), st.integers(1, 7), st.sampled_from([1, 2, 3, 5]), st.integers(0, 2**32 - 1))
def test_workers_sum(N, size, workers, seed):
    """With threads that take their time, and sums that are added up in place."""
    parts, pauses = Workers.parts(N, size), random.Random(seed)
    values, waits = numbers(len(parts), seed), [pauses.random() * 2e-3 for _ in parts]

    def shard(part):
        assert part in parts
        time.sleep(waits[part.start // size])
        return [values[part.start // size].copy()]

    with Workers(workers) as pool:
        (total,) = pool.sum(shard, N, size)
    np.testing.assert_array_equal(total, along_a_tree(values))


def test_several_threads_add_at_once():
    """Nobody waits for the sums of others: each of two meets the other in the middle of its addition."""
    meeting, failed = threading.Barrier(2, timeout=30), []

    def add(a, b):
        if (a, b) in ((0, 1), (2, 3)):
            meeting.wait()
        return a + b

    def put(*places):
        try:
            for i in places:
                tree.put(i, i)
        except threading.BrokenBarrierError as error:
            failed.append(error)

    tree = Tree(4, add)
    threads = [threading.Thread(target=put, args=places) for places in ((0, 1), (2, 3))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed and tree.root == 6


@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_of_a_shard_is_raised(workers):
    def shard(part):
        if part.start == 4:
            raise ZeroDivisionError("of this shard")
        return [np.ones(1)]

    with Workers(workers) as pool, pytest.raises(ZeroDivisionError, match="of this shard"):
        pool.sum(shard, 20, 2)
