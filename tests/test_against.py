"""benchmarks/against.py: that two checkouts take turns, and that it times the checkout that it says."""

from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def against():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        import against

        yield against


def test_the_order_turns_round(against):
    order = []
    times = against.turns([lambda: order.append("before") or 2.0, lambda: order.append("after") or 1.0], 4)
    assert order[4:] == ["before", "after", "after", "before"] * 2  # each has run twice, to compile
    np.testing.assert_array_equal(times, [[2.0, 1.0]] * 4)


def test_a_side_takes_steps(against):
    with against.Side(BENCHMARKS.parent) as side:
        assert 0 < side.steps("pixelcnn-h16", 1) < 60
        if against.accounts.KNOWN:
            assert 0 < side.memory("pixelcnn-h16", 1) < 1000


def test_a_side_of_another_checkout_is_refused(against, tmp_path):
    with pytest.raises(ValueError, match="got minipixel from"):
        against.Side(tmp_path)


def test_rows(against):
    """Every option names a plain model; the model of one's own has about as many multiplications as its plain one."""
    rows = against.ROWS
    assert {row.plain for row in rows.values()} - {None} <= {name for name, row in rows.items() if row.plain is None}
    assert against.work("own") == pytest.approx(1, abs=0.1)
    assert against.work("pixelcnn-h16+classes") == 1
    text = against.line("own", np.array([[3.0, 2.0, 1.0]]))
    assert text.split()[1:4] == ["3000.0", "2000.0", "1.500"]
    assert text.split()[-2] == "2.00"
