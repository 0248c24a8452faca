import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

Refused = Callable[..., AbstractContextManager[None]]


@pytest.fixture
def refused() -> Refused:
    """Expect an error of exactly this type whose message is a single line that holds all these parts."""

    @contextmanager
    def expect(kind: type[Exception], *parts: object) -> Iterator[None]:
        with pytest.raises(kind) as caught:
            yield
        message = str(caught.value)
        assert type(caught.value) is kind
        assert len(message.splitlines()) == 1
        for part in parts:
            assert str(part) in message

    return expect


@pytest.fixture
def little_memory() -> Callable[[], AbstractContextManager[None]]:
    """Fail if the block's peak of new memory is above 8 MB, a trifle beside the sizes that bad files declare."""

    @contextmanager
    def measure() -> Iterator[None]:
        tracemalloc.start()
        try:
            yield
            assert tracemalloc.get_traced_memory()[1] < 8e6
        finally:
            tracemalloc.stop()

    return measure
