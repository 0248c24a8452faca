"""Compiled kernels on disk: only ever a cache. Whatever a file became, the result is right, and the file is mended."""

import errno
import os
import pickle
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minipixel.kernels import compiling, numba_enabled

numba = pytest.importorskip("numba")
if not numba_enabled():
    pytest.skip("Numba is switched off", allow_module_level=True)

from minipixel.kernels.cache import SIZE, DamagedError, Files  # noqa: E402
from minipixel.kernels.jit import jit  # noqa: E402

# --- files alone ------------------------------------------------------------------------------------------------------

KEY, OTHER_KEY = ("float32", "cpu"), ("float64", "cpu")


def whole(folder):
    """One file with something in it, and the path of that."""
    files = Files(folder, "kernel")
    files.save(KEY, [b"code" * 50, 1.5])
    return files, next(folder.glob("*.nbc"))


def loaded(files, key=KEY):
    try:
        return files.load(key)
    except (DamagedError, OSError):
        return None


def test_what_is_saved_is_loaded(tmp_path):
    files, _ = whole(tmp_path)
    assert files.load(KEY) == [b"code" * 50, 1.5]
    assert files.load(OTHER_KEY) is None
    files.save(OTHER_KEY, "other")
    assert files.load(KEY) == [b"code" * 50, 1.5] and files.load(OTHER_KEY) == "other"
    files.flush()
    assert files.load(KEY) is None and not list(tmp_path.iterdir())


def test_every_length(tmp_path):
    """Cut short anywhere, or with something after it: nothing is loaded, ever; then it is replaced."""
    files, path = whole(tmp_path)
    content = path.read_bytes()
    for wrong in [*(content[:length] for length in range(len(content))), content + b"\0", content + content]:
        path.write_bytes(wrong)
        with pytest.raises(DamagedError):
            files.load(KEY)
    files.save(KEY, "new")
    assert files.load(KEY) == "new"


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_every_byte(tmp_path_factory, data):
    """No file with another byte in it gives anything."""
    files, path = whole(tmp_path_factory.mktemp("kernels"))
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    assert loaded(files) is None


@given(st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_any_bytes(tmp_path_factory, content):
    files, path = whole(tmp_path_factory.mktemp("kernels"))
    path.write_bytes(content)
    assert loaded(files) is None


def test_another_version_is_no_damage(tmp_path):
    """It is replaced without a word."""
    files, path = whole(tmp_path)
    path.write_bytes(bytes(SIZE) + path.read_bytes()[SIZE:])
    assert files.load(KEY) is None


def test_a_file_under_the_name_of_another(tmp_path):
    """The key is read from the file: code for other types of arguments is never run."""
    files, path = whole(tmp_path)
    files.save(OTHER_KEY, "code for float64")
    other = next(p for p in tmp_path.glob("*.nbc") if p != path)
    path.write_bytes(other.read_bytes())
    assert files.load(KEY) is None


def a_folder(path):
    path.unlink()
    path.mkdir()


def a_pipe(path):
    path.unlink()
    os.mkfifo(path)


def a_link_to_nowhere(path):
    path.unlink()
    path.symlink_to(path.with_name("nowhere"))


def a_link_to_itself(path):
    path.unlink()
    path.symlink_to(path)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
@pytest.mark.parametrize("become", [a_folder, a_pipe, a_link_to_nowhere, a_link_to_itself])
def test_what_is_no_file_is_replaced(tmp_path, become):
    files, path = whole(tmp_path)
    become(path)
    assert loaded(files) is None
    files.save(KEY, "new")
    assert files.load(KEY) == "new"


def test_writers_at_once(tmp_path):
    """Whoever reads meanwhile gets what somebody wrote, under the key that it was written for; no part is left over."""
    seen, trouble = [], []

    def work(name):
        files = Files(tmp_path, "kernel")
        try:
            for i in range(40):
                for key in (KEY, OTHER_KEY):
                    files.save(key, (key, name * 2000, i))
                    seen.append((key, files.load(key)))
        except Exception as error:
            trouble.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not trouble and len(seen) == 240
    for key, (saved_for, names, _) in seen:
        assert saved_for == key and len(set(names)) == 1
    assert len(list(tmp_path.iterdir())) == 2


# --- with Numba -------------------------------------------------------------------------------------------------------


def double(x):
    return x + x


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where kernels are kept, in a process that has warned of nothing yet."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    for name, value in {"_warned": False, "_folders": set(), "_failures": []}.items():
        monkeypatch.setattr(compiling, name, value)
    return tmp_path


def run(body=double):
    """As a new process would: loaded, or compiled and kept. Returns what was warned of, and how often it was loaded."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        compiled = jit(body)
        assert compiled(np.float32(1.5)) == 3 and compiled(np.float32(2)) == 4
    return [str(warning.message) for warning in caught], sum(compiled.stats.cache_hits.values())


def the_file(folder):
    (path,) = folder.rglob("*.nbc")
    return path


def test_it_is_kept_and_loaded(folder):
    assert run() == ([], 0)
    before = the_file(folder).stat().st_mtime_ns
    assert run() == ([], 1)
    assert the_file(folder).stat().st_mtime_ns == before
    assert compiling.kept() == ([str(the_file(folder).parent)], [])


@pytest.mark.parametrize(
    "wrong", ["cut", "emptied", "garbage", "changed in the code", "of another program", "a folder"]
)
def test_damage_is_mended(folder, wrong):
    """One warning, the right result, and from then on it is loaded again."""
    run()
    path = the_file(folder)
    content = path.read_bytes()
    if wrong == "a folder":
        a_folder(path)
    else:
        middle = len(content) // 2
        path.write_bytes(
            {
                "cut": content[:middle],
                "empty": b"",
                "garbage": os.urandom(len(content)),
                "changed in the code": content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :],
                "of another program": pickle.dumps("something else") * 20,
            }[wrong]
        )
    said, hits = run()
    stale = wrong in ("garbage", "of another program")  # which begin as a file of another version might
    assert hits == 0 and len(said) == (0 if stale else 1)
    assert all("NUMBA_CACHE_DIR" in line and "\n" not in line for line in said)
    assert run() == ([], 1)


def test_it_cannot_be_read(folder, monkeypatch):
    """Another user's file, say: it is replaced."""
    run()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", fails(errno.EACCES))
        (said,), hits = run()
    assert hits == 0 and "Permission denied" in said and "NUMBA_CACHE_DIR" in said
    assert run() == ([], 1)


def fails(number):
    def fail(*arguments, **options):
        raise OSError(number, os.strerror(number), "somewhere")

    return fail


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO, errno.EFBIG])
def test_it_cannot_be_written(folder, monkeypatch, number):
    """A full disk, a quota ...: the result is right, one warning a process says what it was, and nothing is left."""
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", fails(number))
        (said,), _ = run()
        assert os.strerror(number) in said and "NUMBA_CACHE_DIR" in said and str(folder) in said
        assert run() == ([], 0)  # it has been said
        assert compiling.kept()[0] == [] and len(compiling.kept()[1]) == 2
    assert not [path for path in folder.rglob("*") if path.is_file()]
    run()
    assert run() == ([], 1)


def test_there_is_no_folder(folder, monkeypatch):
    from numba.core.caching import CacheImpl

    monkeypatch.setattr(CacheImpl, "_locator_classes", [])
    (said,), _ = run()
    assert "no folder to write to" in said and "NUMBA_CACHE_DIR" in said
    assert compiling.kept()[0] == [] and compiling.kept()[1]


def test_where_the_folder_should_be_is_a_file(folder, monkeypatch):
    """Numba then takes the next folder; a file that turns up later is a folder that cannot be written."""
    (folder / "kernels").write_text("")
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(folder / "kernels"))
    said, _ = run()
    assert said == [] and compiling.kept()[0] and not compiling.kept()[0][0].startswith(str(folder))


def test_a_later_numba_without_its_private_parts(folder, monkeypatch):
    """Kernels are compiled in every process, unsealed and therefore not kept, with one warning."""
    monkeypatch.setitem(sys.modules, "minipixel.kernels.lowering", None)
    (said,), _ = run()
    assert "Numba" in said and "install an earlier" in said
    assert not list(folder.rglob("*.nbc"))


def test_code_that_was_not_sealed_is_not_kept(folder, monkeypatch):
    """Of a Numba that never calls what seals it."""
    from minipixel.kernels.lowering import NEEDED, Sealed

    monkeypatch.setattr(Sealed, "_optimize_final_module", NEEDED[1])
    (said,), _ = run()
    assert "does not know" in said and not list(folder.rglob("*.nbc"))


# --- whether Numba is of use at all -----------------------------------------------------------------------------------

STEP = """
import numpy as np, minipixel as mp
model = mp.models.PixelCNN((4, 4, 1), 2, hidden=2, blocks=1)
mp.fit(model, np.zeros((4, 4, 4, 1), np.uint8), epochs=1, progress=False)
print(mp.kernels.numba_enabled(), np.isfinite(model.log_prob(np.zeros((1, 4, 4, 1), np.uint8))).all())
"""
BROKEN = {
    "refuses this NumPy": "raise ImportError('Numba needs NumPy 1.0 or less')",
    "damaged": "raise SyntaxError('bad')",
    "of another kind": "config = type('config', (), {'DISABLE_JIT': 0})",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_numba_that_does_not_work_counts_as_off(tmp_path, name):
    (tmp_path / "numba.py").write_text(BROKEN[name])
    paths = {"PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
    done = subprocess.run([sys.executable, "-c", STEP], env=os.environ | paths, capture_output=True, text=True)
    assert done.stdout == "False True\n", done.stderr
    assert done.stderr.count("Warning") == 1 and "a Numba that does not work" in done.stderr


def test_compiling_is_disabled():
    """NUMBA_DISABLE_JIT=1 is what people set to debug: all runs as it is written, without a word."""
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run([sys.executable, "-W", "error", "-c", STEP], env=environment, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("False True\n", "")
