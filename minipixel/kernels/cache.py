"""Compiled kernels on disk: a cache that is only ever a cache.

Where Numba would keep a function, here a file stands for each of its signatures: two digests, of what it was made from
and of what follows, then that. So a file that is cut short, changed, or of two processes that wrote at once is seen for
what it is, and is replaced; Numba's own files have an index that all signatures share, and nothing to check them by.
Whatever goes wrong, in reading or in writing, the kernel is compiled and runs; one warning says what it was.
"""

import contextlib
import hashlib
import pickle
import uuid
from importlib import resources
from pathlib import Path

import llvmlite
import numba
from numba.core import event
from numba.core.caching import FunctionCache
from numba.core.serialize import dumps

from minipixel.kernels import compiling

_SOURCES = sorted(file.read_bytes() for file in resources.files(__package__).iterdir() if file.name.endswith(".py"))
MADE_FROM = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__} ".encode() + b"".join(_SOURCES)).digest()
"""Of all files of this folder: Numba itself would look at the one in which a function stands, not at what it calls."""

SIZE = len(MADE_FROM)
WAY_OUT = "set NUMBA_CACHE_DIR to a folder that can be written"


class DamagedError(Exception):
    """A file that is not as it was written."""


def keep_on_disk(compiled):
    """Give a function that Numba compiles lazily a cache of this kind. Raises AttributeError for an unknown Numba."""
    compiled._cache.load_overload, compiled._cache.save_overload  # noqa: B018
    compiled._cache = KernelCache(compiled.py_func)
    return compiled


class KernelCache:
    """What a compiled function asks for its code on disk, with the methods that Numba calls."""

    def __init__(self, body):
        self.body = body
        self._numba, self._why = None, ""

    @property
    def cache_path(self):
        """The folder, or None where there is none to write to."""
        return None if self._cache() is None else self._cache().cache_path

    def _cache(self):
        """Numba's own, which finds a folder and takes code apart; made when first needed, since it tries to write."""
        if self._numba is None:
            try:
                cache = FunctionCache(self.body)
                cache._cache_file = Files(cache.cache_path, cache._impl.filename_base)
                self._numba = cache
            except Exception as error:  # what Numba raises where no folder can be written is a RuntimeError
                self._numba = False
                self._why = "no folder to write to" if isinstance(error, RuntimeError) else _in_words(error)
        return self._numba or None

    def load_overload(self, sig, target_context):
        """The compiled function for a signature, or None."""
        cache = self._cache()
        if cache is None:
            return None
        try:
            loaded = cache.load_overload(sig, target_context)
        except Exception as error:
            compiling.warn_once(
                f"kernel cache: got {_in_words(error)} in {cache.cache_path}, wanted the compiled kernels as they were "
                "written there; what is damaged is compiled and written again; NUMBA_CACHE_DIR names another folder"
            )
            return None
        if loaded is not None:
            compiling.found_or_kept(cache.cache_path)
        return loaded

    def save_overload(self, sig, data):
        """Keep a compiled function, or warn that it is not kept."""
        cache = self._cache()
        try:
            if cache is None:
                raise OSError(self._why)
            if not getattr(data.library, "sealed", False):
                raise ValueError(f"a Numba {numba.__version__} that minipixel does not know")
            cache.save_overload(sig, data)
        except Exception as error:
            where = "" if cache is None else f" in {cache.cache_path}"
            compiling.not_kept(
                f"kernel cache: got {_in_words(error)}{where}, wanted to keep the compiled kernels on disk; "
                f"every process compiles them again; {WAY_OUT}"
            )

    def enable(self):
        """Numba's switch, which has no use here."""

    def disable(self):
        """Numba's switch, which has no use here."""

    def flush(self):
        """Forget everything."""
        if self._cache() is not None:
            self._cache().flush()


def _in_words(error):
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error) if isinstance(error, DamagedError | ValueError) else f"{type(error).__name__} ({error})"


class _Listener(event.Listener):
    """Hears from Numba of every function that is compiled, and not loaded; passes on what is a kernel."""

    def on_start(self, news):
        """It begins."""
        cache = getattr(news.data["dispatcher"], "_cache", None)
        if isinstance(cache, KernelCache):
            compiling.begin(cache.cache_path is not None)

    def on_end(self, news):
        """It ends, well or not."""
        if isinstance(getattr(news.data["dispatcher"], "_cache", None), KernelCache):
            compiling.end()


event.register("numba:compile", _Listener())


class Files:
    """The files of one function, one for each key: a signature, a processor and a digest of the function itself."""

    def __init__(self, folder, base):
        self.folder, self.base = Path(folder), base

    def load(self, key):
        """What was saved under that key, or None: nothing was, or by another version. Raises DamagedError, OSError."""
        path = self._path(key)
        try:
            content = path.read_bytes() if path.is_file() or not path.exists() else b""  # a pipe would wait for ever
        except FileNotFoundError:
            return None
        made_from, digest, body = content[:SIZE], content[SIZE : 2 * SIZE], content[2 * SIZE :]
        if len(content) >= 2 * SIZE and made_from != MADE_FROM:
            return None
        if hashlib.sha256(body).digest() != digest:
            raise DamagedError(f"the damaged file {path.name}")
        saved_key, data = pickle.loads(body)
        return data if saved_key == key else None

    def save(self, key, data):
        """Write it, whole or not at all. Raises OSError."""
        path, body = self._path(key), dumps((key, data))
        temporary = path.with_name(f"{path.name}.tmp.{uuid.uuid4().hex[:16]}")
        try:
            temporary.write_bytes(MADE_FROM + hashlib.sha256(body).digest() + body)
            if path.is_dir():
                path.rmdir()
            temporary.replace(path)
            compiling.found_or_kept(str(self.folder))
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise

    def flush(self):
        """Remove all that the function has here."""
        for path in self.folder.glob(f"{self.base}.*.nbc"):
            path.unlink(missing_ok=True)

    def _path(self, key):
        return self.folder / f"{self.base}.{hashlib.sha256(repr(key).encode()).hexdigest()[:16]}.nbc"
