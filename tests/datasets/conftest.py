import functools
import http.server
import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from minipixel.datasets import fetch

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


@pytest.fixture
def caches(tmp_path, monkeypatch):
    """A folder for the caches of all sets, no folder in the environment, and no proxy on the way to 127.0.0.1."""
    monkeypatch.setattr(fetch, "cache_folder", lambda dataset: tmp_path / "cache" / dataset)
    monkeypatch.delenv("MINIPIXEL_DATA", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "cache"


@pytest.fixture
def no_download(monkeypatch):
    def fail(*_):
        pytest.fail("went to the network")

    monkeypatch.setattr(fetch, "_download", fail)


@pytest.fixture
def server(tmp_path):
    """A web server for the folder `www`: its address and the paths it was asked for."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            asked.append(self.path)

    handler = functools.partial(Handler, directory=tmp_path / "www")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}/", asked
        httpd.shutdown()
        thread.join()


@pytest.fixture
def closed_port():
    """An address at which nobody listens: the port is bound, so that no one else takes it, but does not listen."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/"
