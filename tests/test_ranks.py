"""Processes that share out their work: the same bits for any number, and an error of one is an error of all.

Here ranks are threads, with a communicator that does what MPI does; test_mpi.py has real ones.
"""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_table import SMALL
from ranks_in_threads import on_ranks
from test_shards import along_a_tree, numbers

import minipixel as mp
from minipixel import messages, ranks, slices
from minipixel.messages import FAILED, GO_ON, STOP, RankError, Ranks
from minipixel.shards import Workers
from minipixel.tree import Tree, added, nodes

COUNTS = st.integers(1, 7)


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 100), COUNTS)
def test_every_shard_has_one_rank(S, R):
    """In order, the first rank has some, and no two ranks' numbers of shards differ by more than one."""
    shares = [Ranks(type("Comm", (), {"rank": rank, "size": R})()).share(S) for rank in range(R)]
    assert [i for share in shares for i in share] == list(range(S))
    assert shares[0] and max(map(len, shares)) - min(map(len, shares)) <= 1


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 100), st.data())
def test_what_consecutive_leaves_leave_behind(S, data):
    """At most about two sums per level, whatever the share; the names are those of the sums."""
    start, stop = sorted(data.draw(st.tuples(st.integers(0, S), st.integers(0, S))))
    tree = Tree(S, lambda a, b: a + b)
    for i in range(start, stop):
        tree.put(i, [i])
    assert list(tree.sums) == nodes(S, range(start, stop))
    assert [i for part in tree.sums.values() for i in part] == list(range(start, stop))
    assert len(tree.sums) <= max(1, 2 * S.bit_length())


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 40), COUNTS, st.integers(1, 3), st.integers(1, 100), st.integers(0, 2**32 - 1))
def test_a_sum_over_ranks_is_the_sum_along_the_tree(S, R, workers, piece, seed):
    """To the bit, for lists of arrays of several sizes and dtypes, in pieces of any number of bytes."""
    rng = np.random.default_rng(seed)
    narrow, wide = numbers(S, seed), rng.standard_normal((S, 2, 37)).astype(np.float64)

    def shard(part):
        return [narrow[part.start].copy(), wide[part.start].copy()]

    def rank(comm):
        with Workers(workers, ranks=ranks.resolved(comm)) as pool:
            return pool.sum(shard, S, 1)

    before, slices.PIECE = slices.PIECE, piece * 8
    try:
        found = on_ranks(R, rank)
    finally:
        slices.PIECE = before
    for total in found:
        np.testing.assert_array_equal(total[0], along_a_tree(narrow), strict=True)
        np.testing.assert_array_equal(total[1], along_a_tree(wide), strict=True)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 40), st.integers(1, 5), COUNTS, st.integers(1, 40))
def test_arrays_of_shards_come_back_in_order(N, size, R, piece):
    """All of them, to every rank, of any shape, in pieces of any size; an empty batch, too, has its result."""

    def rank(comm):
        with Workers(1, ranks=ranks.resolved(comm)) as pool:
            return list(pool.map(lambda part: np.arange(part.start, part.stop)[:, None] * [1, 10], N, size))

    before, messages.PIECE = messages.PIECE, piece
    try:
        found = on_ranks(R, rank)
    finally:
        messages.PIECE = before
    for arrays in found:
        assert len(arrays) == max(1, -(-N // size))
        np.testing.assert_array_equal(np.concatenate(arrays), np.arange(N)[:, None] * [1, 10], strict=True)


def test_what_waits_is_no_more_than_a_few_sums():
    """A rank folds its shards as it goes."""
    tree = Tree(64, added)
    for i in range(21, 43):
        tree.put(i, [np.ones(1)])
        assert len(tree.sums) <= 6
    assert sum(float(value[0][0]) for value in tree.sums.values()) == 22


# --- an error on one is an error on all -------------------------------------------------------------------------------


@pytest.mark.parametrize("R", [2, 3, 5])
@pytest.mark.parametrize("wrong", [0, 1])
def test_an_error_of_one_rank_is_raised_on_all(R, wrong):
    def rank(comm):
        with ranks.together(comm) as group:
            group.exchange("before")
            if comm.rank == wrong:
                raise KeyError("x")
            group.exchange("after")
            pytest.fail("nobody may come here")

    found = on_ranks(R, rank)
    assert isinstance(found.pop(wrong), KeyError)
    assert {type(error) for error in found} == {RankError}
    assert {str(error) for error in found} == {f"rank {wrong} of {R}: KeyError: 'x'"}


def test_an_error_at_the_end_and_an_error_of_all():
    """One that comes when the others have done their work; one that all raise alike; one after another."""

    def rank(comm):
        said = []
        for attempt in range(3):
            try:
                with ranks.together(comm):
                    if attempt == 0 and comm.rank == 1:
                        raise OSError(28, "No space left on device")
                    if attempt == 1:
                        raise ValueError("of all")
            except (RankError, OSError, ValueError) as error:
                said.append(type(error).__name__)
        return said

    assert on_ranks(3, rank) == [["RankError", "ValueError"], ["OSError", "ValueError"], ["RankError", "ValueError"]]


def test_an_error_that_turns_into_another_on_its_way_is_told_once():
    """As Ctrl-C turns into what says how far the drawing came: nobody waits for a second message about it."""

    def rank(comm):
        with ranks.together(comm) as group:
            try:
                if comm.rank == 1:
                    raise KeyboardInterrupt
                group.exchange("work")
            except KeyboardInterrupt:
                raise mp.errors.InterruptedDrawing([]) from None

    assert {type(error) for error in on_ranks(3, rank)} == {mp.errors.InterruptedDrawing}


def test_an_error_in_a_shard_reaches_the_ranks_that_wait_for_its_sum():
    def rank(comm):
        def shard(part):
            if part.start == 5:
                raise ZeroDivisionError("of this shard")
            return [np.ones(3)]

        with ranks.together(comm), Workers(2) as pool:
            return pool.sum(shard, 6, 1)

    first, last = on_ranks(2, rank)
    assert isinstance(last, ZeroDivisionError) and str(first) == "rank 1 of 2: ZeroDivisionError: of this shard"


def test_ranks_at_different_places_of_the_program_are_told_apart():
    def rank(comm):
        with ranks.together(comm) as group:
            group.exchange("here" if comm.rank == 0 else "there")

    for error in on_ranks(3, rank):
        assert isinstance(error, RankError) and "another place of the program" in str(error)


def test_the_most_that_anybody_asks_for_counts():
    asks = on_ranks(3, lambda comm: Ranks(comm).most("stop", STOP if comm.rank == 1 else GO_ON))
    assert asks == [STOP] * 3 and GO_ON < STOP < FAILED


@pytest.mark.parametrize("value", [b"\x00bytes", "text", 3, [1, None, 0.1], {"a": 1e300}, None, 2**100])
def test_what_the_first_has_is_what_all_have(value):
    own = [value, b"" if isinstance(value, bytes) else None, "other"]
    assert on_ranks(3, lambda comm: Ranks(comm).from_first("value", own[comm.rank])) == [value] * 3


def test_the_first_goes_first():
    order, lock = [], threading.Lock()

    def note(rank):
        with lock:
            order.append(rank)

    on_ranks(4, lambda comm: Ranks(comm).in_turn("data", lambda: note(comm.rank)))
    assert order[0] == 0 and sorted(order) == [0, 1, 2, 3]


# --- models on several ranks ------------------------------------------------------------------------------------------


def model_and_images(name="pixelcnn", **options):
    options = SMALL[name] | options
    model = mp.models.MODELS[name]((4, 4, 1), 3, rng=1, **options)
    return model, np.random.default_rng(0).integers(0, 3, (30, 4, 4, 1))


@pytest.mark.parametrize("R", [2, 3])
def test_what_is_drawn_and_scored_together_is_what_one_draws_and_scores(R):
    model, images = model_and_images()
    known = np.arange(16).reshape(4, 4) < 8

    def work(_):
        return [
            model.sample(9, rng=3),
            model.complete(images[:5], known, rng=4, particles=3),
            model.log_prob(images),
            model.probabilities(images[:7]),
            np.array(model.accuracy(images)),
            *model.value_and_gradients(images)[1].values(),
        ]

    def rank(comm):
        with ranks.together(comm):
            return work(comm)

    alone = work(None)
    for found in on_ranks(R, rank):
        for got, wanted in zip(found, alone, strict=True):
            np.testing.assert_array_equal(got, wanted, strict=True)


def test_without_a_seed_all_ranks_draw_with_that_of_the_first():
    model, _ = model_and_images()

    def rank(comm):
        with ranks.together(comm):
            return model.sample(6)

    first, *others = on_ranks(3, rank)
    for other in others:
        np.testing.assert_array_equal(first, other, strict=True)


@pytest.mark.parametrize("what", ["images", "rng", "parameters"])
def test_ranks_with_other_arguments_are_refused(what):
    """In place of a result that is put together from pieces of two."""

    def rank(comm):
        model, images = model_and_images()
        if what == "parameters" and comm.rank == 1:
            next(iter(model.parameters())).data[...] += 1
        with ranks.together(comm):
            if what == "rng":
                return model.sample(5, rng=comm.rank)
            return model.log_prob(images[comm.rank :][:20] if what == "images" else images)

    for error in on_ranks(2, rank):
        assert isinstance(error, RankError) and str(error).startswith(f"{what}: got ")


def test_what_is_alone_shares_nothing_out():
    """A callback that only the first rank has may draw: the others are not asked to."""
    drawn = []

    class Draws(mp.callbacks.Callback):
        writes = True

        def on_epoch_end(self, epoch, logs):
            drawn.append(model.sample(2, rng=epoch))
            logs["of_the_first"] = float(epoch)

    model, images = model_and_images()

    def rank(comm):
        own, _ = model_and_images()
        watchers = [Draws(), mp.callbacks.EarlyStopping(monitor="of_the_first", patience=1)]
        return mp.fit(own, images, callbacks=watchers, epochs=5, batch_size=8, progress=False, ranks=comm).history

    first, second = on_ranks(2, rank)
    assert len(drawn) == 2 and len(first["loss"]) == 2, "no second epoch was better"
    assert first == second and first["of_the_first"] == [0.0, 1.0]


class StopsOnOneRank(mp.callbacks.Callback):
    """Stops in the second epoch, on one rank alone."""

    def __init__(self, comm):
        self.comm, self.steps = comm, 0

    def on_batch_end(self, epoch, images, logs):
        self.steps += 1
        self.stop_training = self.steps == 5 and getattr(self.comm, "rank", 1) == 1


def trained(comm, name, images):
    """Weights and history with all that a training may have: averages, clipping, weights of images, a transform."""
    model = mp.models.MODELS[name]((4, 4, 1), 3, rng=1, **SMALL[name])
    history = mp.fit(
        model, images, validation=0.2, epochs=3, batch_size=9, sample_weight=np.linspace(0, 2, len(images)),
        optimizer=mp.optim.Adam(0.01, clip_norm=1.0), transform=lambda batch, rng: batch[:, :, ::-1],
        callbacks=[mp.callbacks.EMA(0.9), StopsOnOneRank(comm)], rng=5, workers=1, progress=False, ranks=comm,
    )  # fmt: skip
    return [parameter.data for parameter in model.parameters()], history.history


@pytest.mark.parametrize("name", [*SMALL])
def test_training_does_not_depend_on_the_number_of_ranks(name):
    _, images = model_and_images()
    weights, history = trained(1, name, images)
    for found in on_ranks(3, lambda comm: trained(comm, name, images)):
        assert not isinstance(found, BaseException), found
        for got, wanted in zip(found[0], weights, strict=True):
            np.testing.assert_array_equal(got, wanted, strict=True)
        assert {k: v for k, v in found[1].items() if k != "seconds"} == {
            k: v for k, v in history.items() if k != "seconds"
        }


# --- who is there -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [0, 2, True, "all", [1]])
def test_wrong_ranks_are_refused(wrong):
    model, images = model_and_images()
    with pytest.raises(ValueError, match=r"^ranks: got .*, wanted None for all"):
        mp.fit(model, images, epochs=1, ranks=wrong, progress=False)


def in_a_process(program, **environment):
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=os.environ | environment, timeout=100
    )


@pytest.mark.parametrize("name", [*ranks.LAUNCHERS])
def test_a_launcher_without_mpi_is_an_error_of_one_line(name):
    """The package is hidden, so that it does not matter whether it is installed."""
    program = (
        "import sys; sys.modules['mpi4py'] = None\n"
        "from minipixel import ranks\n"
        "try: ranks.world()\n"
        "except ImportError as error: print(error)"
    )
    done = in_a_process(program, **{name: "3"})
    assert done.stdout.startswith("ranks: 3 processes were started together, which takes mpi4py"), done
    assert done.stdout.endswith('pip install "minipixel[mpi]"\n') and done.stdout.count("\n") == 1


def test_without_a_launcher_no_mpi_is_loaded():
    program = "import sys, minipixel.ranks as r; print(r.world() is r.ALONE, r.is_first(), 'mpi4py' in sys.modules)"
    for environment in ({"MINIPIXEL_RANKS": "1"}, {"PMI_SIZE": "1", "PMI_RANK": "0"}):
        assert in_a_process(program, **environment).stdout == "True True False\n"


@pytest.mark.parametrize("count", ["0", "many", "-1"])
def test_a_wrong_number_of_processes_is_refused(count, monkeypatch):
    monkeypatch.setenv("MINIPIXEL_RANKS", count)
    with pytest.raises(ValueError, match=r"^MINIPIXEL_RANKS: got .*, wanted the number of processes"):
        ranks.started()
    assert ranks.is_first()


@pytest.mark.parametrize("text", ["0", "soon", "-3"])
def test_a_wrong_time_limit_is_refused(text, monkeypatch):
    monkeypatch.setenv(messages.PATIENCE, text)
    with pytest.raises(ValueError, match=r"^MINIPIXEL_RANK_TIMEOUT: got .*, wanted a number of seconds above 0"):
        messages.patience()


def test_cores_are_divided_among_those_that_may_use_them():
    """Bound to one core each, all on the same four, or in two pairs."""

    def cores(*usable):
        return on_ranks(len(usable), lambda comm: Ranks(comm).cores(usable[comm.rank]))

    assert cores([0], [1], [2]) == [1, 1, 1]
    assert cores([0, 1, 2, 3], [0, 1, 2, 3]) == [2, 2]
    assert cores([0, 1], [0, 1], [2, 3, 4, 5], [2, 3, 4, 5]) == [1, 1, 2, 2]
    assert cores([0], [0], [0]) == [1, 1, 1]
