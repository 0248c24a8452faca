"""Which rows of a long table the quick suite tries."""

import pytest


def every(step, rows):
    """The rows as parameters of a test: every step-th is quick, the others are slow."""
    return [row if i % step == 0 else pytest.param(*_tuple(row), marks=pytest.mark.slow) for i, row in enumerate(rows)]


def _tuple(row):
    return row if isinstance(row, tuple) else (row,)


def first_of_each(rows, kind):
    """The rows as parameters of a test: the first of each `kind(row)` is quick, those after it are slow."""
    seen, parameters = set(), []
    for row in rows:
        parameters.append(pytest.param(row, id=row.id, marks=pytest.mark.slow if kind(row) in seen else ()))
        seen.add(kind(row))
    return parameters
