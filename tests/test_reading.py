"""Whatever stands in the place of a file: one line, at once, and little memory; and there is one way to open it.

READERS is the table of all that read a file. BOMBS are files that would take far more memory, or time, than they or
what they hold are large.
"""

import ast
import contextlib
import gzip
import io
import json
import os
import signal
import socket
import struct
import time
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import fuzz_models
import fuzz_seeds as seeds
import numpy as np
import pytest

import minipixel as mp
from minipixel import cli
from minipixel.cli import config, run_folder
from minipixel.datasets import cifar10, quickdraw
from minipixel.datasets.idx import read_idx
from minipixel.datasets.npy import read_npy
from minipixel.datasets.npz import read_npz
from minipixel.datasets.png import read_png
from minipixel.training import checkpoints
from minipixel.training.callbacks import CSVLogger

READERS = {
    "model": mp.load,
    "checkpoint": checkpoints.read,
    "IDX": lambda path: read_idx(path, 3),
    "npy": read_npy,
    "npz": lambda path: read_npz(path, "a"),
    "CIFAR-10": cifar10.read_cifar10,
    "CIFAR-10, archive": lambda path: cifar10._read_archive(path, "0" * 64),
    "Quick, Draw!": lambda path: quickdraw._read(path, "0" * 64, None),
    "PNG": read_png,
    "settings": config.read,
    "log": lambda path: list(run_folder.log_rows(path)),
    "log, appended to": lambda path: CSVLogger(path, append=True).on_train_begin(None, 0),
    "figures": run_folder.read_figures,
}
readers = pytest.mark.parametrize("read", READERS.values(), ids=READERS)
SECONDS = 30
"""Of the processor, on any machine, with the watching of memory: what takes the square of a size takes more."""


SLACK = 24 << 20
"""Bytes: what a megabyte of header, the most that there may be, makes in Python."""


@contextlib.contextmanager
def at_once():
    """TimeoutError if the block waits for something, where the system has an alarm."""

    def late(*_):
        raise TimeoutError("still waiting")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(60)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def refused(read, path):
    """The one line with which a file is refused."""
    with at_once(), pytest.raises(mp.FormatError) as caught:
        read(path)
    said = str(caught.value)
    assert said.isprintable() and len(said) < 600
    return said


unix = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes and an alarm")


@unix
@readers
def test_a_pipe_a_device_a_socket(read, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the address of a socket has to be short
    os.mkfifo("pipe")
    assert "pipe: got a pipe, expected a regular file" in refused(read, Path("pipe"))
    assert "/dev/zero: got a device, expected a regular file" in refused(read, Path("/dev/zero"))
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket")
        with pytest.raises((mp.FormatError, OSError)):  # Linux opens none
            read(Path("socket"))


@unix
@readers
def test_a_file_of_no_sane_size(read, tmp_path):
    """A terabyte, none of it on the disk."""
    path = tmp_path / "sparse"
    path.touch()
    os.truncate(path, 1 << 40)
    tracemalloc.start()
    try:
        assert "got a file of 1099511627776 bytes, expected at most" in refused(read, path)
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()


@readers
def test_a_folder(read, tmp_path):
    with pytest.raises(OSError, match=r"[Dd]irectory|[Pp]ermission"):
        read(tmp_path)


@unix
@readers
def test_what_is_shown_has_no_control_characters(read, tmp_path):
    r"""Neither of the file's name nor of its content: ESC is written \x1b."""
    path = tmp_path / "a\x1b[31m\n\x9b\u202e"
    path.write_bytes(b"\x1b[2J\x9b, \x07\xc2\x9b\n = \xff")
    assert r"a\x1b[31m\n\x9b\u202e: " in refused(read, path)


def test_every_reader_opens_its_file_in_one_place():
    """No other call opens a file than those of files.py, but for what the package brings itself."""
    package = Path(mp.__file__).parent
    allowed = {"files.py", "kernels/cache.py", "datasets/quickdraw.py"}
    allowed |= {"kernels/cuda/__init__.py", "stand_in/arrays.py", "stand_in/examining.py"}  # own parts
    calls = {"open", "read_bytes", "read_text", "fromfile", "memmap", "load_file", "safe_open"}
    found = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and (node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")) in calls
        and not (isinstance(node.func, ast.Attribute) and ast.unparse(node.func) in OF_MEMORY)
    }
    assert found <= allowed, found - allowed


OF_MEMORY = {"archive.open", "tarfile.open", "os.open", "Image.open"}
"""Calls that open what is in memory already (Pillow is given bytes), and that by which standard output is closed."""


# --- bombs ------------------------------------------------------------------------------------------------------------


def png(W, H, kind=0, extra=(), level=9):
    """A picture of zeros."""
    C = {0: 1, 2: 3, 6: 4}[kind]
    pack = zlib.compressobj(level)
    rows = b"".join(pack.compress(bytes(1 + W * C)) for _ in range(H)) + pack.flush()
    header = struct.pack(">2I5B", W, H, 8, kind, 0, 0, 0)
    return seeds.png([(b"IHDR", header), *extra, (b"IDAT", rows), (b"IEND", b"")])


def model_header(text):
    """A file whose metadata, or whose header, is this text."""
    return len(text).to_bytes(8, "little") + text


def metadata(text):
    return model_header(json.dumps({"__metadata__": {"minipixel": text}}).encode())


def large_model():
    """64 MB of zeros that its digest does not know of."""
    header = {
        "__metadata__": {"minipixel": json.dumps({"config": {}, "sha256": "0" * 64})},
        "w": {"dtype": "U8", "shape": [1 << 26], "data_offsets": [0, 1 << 26]},
    }
    return model_header(json.dumps(header).encode()) + bytes(1 << 26)


IDX = gzip.compress(seeds.IDX[0], mtime=0)
MANY = 1 << 16
LOG = 1 << 24
BOMBS = {
    "settings: a name of many parts": ("settings", lambda: b"x" + b".x" * (MANY // 2 - 2) + b"=1"),
    "settings: many names of parts": ("settings", lambda: b"".join(b"x%d%s=1\n" % (i, b".x" * 20) for i in range(900))),
    "settings: a table of many parts": ("settings", lambda: b"[x" + b".x" * 299 + b"]\ny=1"),
    "settings: tables in tables": ("settings", lambda: b"x=" + b"{x=" * 8000),
    "settings: lists in lists": ("settings", lambda: b"hidden = " + b"[" * (MANY // 2)),
    "settings: many lists": ("settings", lambda: b"hidden = [" + b"[]," * (MANY // 3 - 10) + b"]"),
    "settings: many tables": ("settings", lambda: b"".join(b"[x%d]\n" % i for i in range(7000))),
    "settings: a long number": ("settings", lambda: b"seed = 0x" + b"f" * (MANY - 20)),
    "settings: a long text": ("settings", lambda: b"root = '" + b"x" * (MANY - 20) + b"'"),
    "figures: many lists": ("figures", lambda: b'{"a": [' + b"[]," * (MANY // 3 - 10) + b"[]]}"),
    "figures: lists in lists": ("figures", lambda: b'{"a": ' + b"[" * (MANY - 20)),
    "figures: a long number": ("figures", lambda: b'{"a": ' + b"9" * (MANY - 20) + b"}"),
    "log: many rows": ("log", lambda: b"epoch\n" + b"1\n" * (LOG // 2 - 10)),
    "log: as many rows as are read": ("log", lambda: b"epoch,a\n" + b"1,1\n" * ((1 << 17) - 1)),
    "log: many columns": ("log", lambda: b"epoch" + b",a" * (LOG // 2 - 10)),
    "log: many rows of many columns": ("log", lambda: b"epoch,%s\n" % b",".join(b"c%d" % i for i in range(31))
                                       + (b"1" + b",1" * 31 + b"\n") * (1 << 13)),
    "log: one long line": ("log", lambda: b"epoch,a\n1,1" + b",1" * (LOG // 2 - 100)),
    "log: one long cell": ("log", lambda: b"epoch\n" + b"1" * (LOG - 100)),
    "log: a quote that is not closed": ("log", lambda: b'epoch\n"' + b"1\n" * (LOG // 2 - 100)),
    "log, appended to: many rows": ("log, appended to", lambda: b"epoch\n" + b"1\n" * (LOG // 2 - 10)),
    "PNG: one long row": ("PNG", lambda: png(64_000_000, 1)),
    "PNG: one long column": ("PNG", lambda: png(1, 64_000_000 // 64, level=1)),
    "PNG: the longest row": ("PNG", lambda: png(65535, 60, 2, level=1)),
    "PNG: the longest column": ("PNG", lambda: png(60, 65535, 2, level=1)),
    "PNG: many chunks": ("PNG", lambda: png(4, 4, extra=[(b"tEXt", b"")] * 50_000)),
    "PNG: as many chunks as are read": ("PNG", lambda: png(4, 4, extra=[(b"tEXt", b"")] * 1030)),
    "IDX: zeros after the gzip": ("IDX", lambda: IDX + bytes(1 << 24)),
    "IDX: many gzips": ("IDX", lambda: gzip.compress(b"", mtime=0) * 100_000 + IDX),
    "IDX: a gzip with a long name": ("IDX", lambda: IDX[:3] + b"\x08" + IDX[4:10] + b"x" * LOG + b"\0" + IDX[10:]),
    "IDX: a gzip that unpacks to much": ("IDX", lambda: gzip.compress(seeds.IDX[0] + bytes(1 << 26), 1, mtime=0)),
    "npz: many members": ("npz", lambda: many_members(2000)),
    "npz: as many members as are read": ("npz", lambda: many_members(1000)),
    "npz: a member that unpacks to much": (
        "npz", lambda: seeds.npz(zipfile.ZIP_DEFLATED, [("a.npy", seeds.NPYS[0] + bytes(1 << 26))])),
    "npy: a long header": ("npy", lambda: b"\x93NUMPY\x02\0" + struct.pack("<I", 1 << 24) + b"{" * (1 << 24)),
    "model: many lists in the header": ("model", lambda: model_header(b'{"a": [' + b"[]," * 300_000 + b"[]]}")),
    "model: many numbers in the header": ("model", lambda: model_header(b'{"a": [' + b"1.," * 300_000 + b"1]}")),
    "model: many names in the header": (
        "model", lambda: model_header(b"{" + b",".join(b'"%d":1' % i for i in range(90_000)) + b"}")),
    "model: many lists in the metadata": ("model", lambda: metadata('{"a": [' + "[]," * 300_000 + "[]]}")),
    "model: a long number": ("model", lambda: metadata('{"config": {"a": ' + "9" * 1_000_000 + "}}")),
    "model: a number of four hundred digits": ("model", lambda: metadata('{"config": {"a": ' + "9" * 400 + "}}")),
    "model: a large one that was changed": ("model", large_model),
}  # fmt: skip
READ = {"log: as many rows as are read", "log: many rows of many columns",
        "PNG: the longest row", "PNG: the longest column", "PNG: as many chunks as are read",
        "IDX: zeros after the gzip", "IDX: a gzip with a long name", "npz: as many members as are read"}  # fmt: skip
"""Those that are sound."""


def many_members(n):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.npy", seeds.NPYS[0])
        for i in range(n):
            archive.writestr(f"{i:05}", b"")
    return buffer.getvalue()


@unix
@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs(bomb, tmp_path):
    """In the memory of a few times the file or what it holds, and in seconds: one line, or what it says."""
    name, content = BOMBS[bomb]
    path = tmp_path / "bomb"
    size = path.write_bytes(content())
    tracemalloc.start()
    try:
        with at_once():
            start, decoded = time.process_time(), 0
            try:
                got = READERS[name](path)
                decoded = got.nbytes if isinstance(got, np.ndarray) else 0
                assert bomb in READ
            except mp.FormatError as error:
                assert bomb not in READ, error
                assert str(error).isprintable() and len(str(error)) < 1000
            seconds, peak = time.process_time() - start, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert seconds < SECONDS
    assert peak < 3 * size + 2 * decoded + SLACK, f"{peak / max(size, decoded):.1f} times, {peak:,} bytes"


@pytest.mark.parametrize("command", [["info", "x"], ["sample", "x"], ["train", "--config", "x"], ["info", "run"]])
def test_commands_wait_for_no_pipe(command, tmp_path, monkeypatch, capsys):
    """Status 2 and one line."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("x")
    Path("run").mkdir()
    Path("run/config.toml").write_text("epochs = 3\n")
    os.mkfifo("run/log.csv")
    with at_once():
        assert cli.main(command) == 2
    said = capsys.readouterr().err
    assert "got a pipe, expected a regular file" in said and said.count("\n") == 1


def test_a_model_too_large_to_be_read_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr("minipixel.checkpoint.MAX_BYTES", 2**20 + 1000)
    with pytest.raises(ValueError, match="got 1600 bytes of tensors, wanted at most 992 in a file"):
        mp.checkpoint.write(tmp_path / "large", {}, {"w": np.zeros(200)})
    assert not list(tmp_path.iterdir())
    assert fuzz_models.TENSORS  # the small ones are written: see test_fuzz.py
