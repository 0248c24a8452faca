"""benchmarks/gpu.py, whole, with tiny models: CuPy is played by the stand-in, and PyTorch computes on the CPU."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("torch")
BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def bench():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        import gpu

        yield gpu


@pytest.fixture
def ran(bench, tmp_path, capsys):
    """Run it with these options; what the JSON file has, and what was printed."""
    if not shutil.which("g++"):
        pytest.skip("there is no C++ compiler to build the kernels")

    def run(*options):
        file = tmp_path / "gpu.json"
        assert bench.main(["--stand-in", "--rounds", "3", "--out", str(file), *options]) == 0
        return json.loads(file.read_text()), capsys.readouterr().out

    return run


def test_steps_beside_pytorch(ran):
    found, printed = ran("--only", "steps", "--models", "pixelcnn-128")
    what = found["steps"]["pixelcnn-128"]
    assert set(what["ms"]) == {"ours", "PyTorch"}
    assert all(len(times) == 3 and min(times) > 0 for kind in ("ms", "wall ms") for times in what[kind].values())
    assert what["a step"]["ours"]["waits"] == 1 and what["a step"]["ours"]["copies"] == 2
    assert "| pixelcnn-128 | 8x8x3 | 4 |" in printed and "say nothing about a GPU" in printed
    assert "Left out" not in printed and not found["left out"]["steps"]


@pytest.mark.slow
def test_all_of_it(ran):
    found, printed = ran("--models", "gated", "--seconds", "600")
    assert len(found["check"]) == 6 and all(what["good"] for what in found["check"].values())
    assert set(found["sampling"]["gated"]["16"]) == {"naive", "host", "GPU", "PyTorch naive"}
    assert found["counts"]["gated"]["waits"] == 1 and found["tf32"]["gated"]["ms"]["ours"]
    assert len(found["compiled"]["gated"]["ms"]) == 3
    assert "6 of 6 models" in printed and "Left out" not in printed


def test_it_ends_in_time(bench, capsys):
    """Here before the first process has said what there is."""
    began = time.monotonic()
    assert bench.main(["--stand-in", "--seconds", "0.1"]) == 1
    assert time.monotonic() - began < 10
    assert "no process could be started: stopped, since the time was over" in capsys.readouterr().out


def test_models_without_time_are_named(bench):
    never = bench.phase_of("steps", ["a", "b"], time.monotonic() - 1, 9, None, None)
    assert never == {}
    found = {"left out": {"steps": ["a", "b"]}, "steps": never, "stand-in": True}
    assert bench.gpu_report.missing(found)[-1] == "- steps: no time for a, b"


class Played:
    """A process that finds what it is told, name by name, and stops where it is told to."""

    def __init__(self, findings, problem=None):
        self.findings, self.end = iter(findings), lambda: None
        self.problem = lambda: problem

    def next(self, until):
        finding = next(self.findings, None)
        if isinstance(finding, Exception):
            raise finding
        return finding


def test_a_model_that_fails_costs_one_line(bench):
    """The process after it goes on with the models behind it, and its findings up to there count."""
    lives = {
        "a": Played([("begin", "a"), ("a", {"ms": 1}), ("begin", "b"), ("b", {"ms": 2})], "ended with -11: no word"),
        "c": Played([("begin", "c"), bench.queue.Empty()]),
        "d": Played([("begin", "d"), ("d", {"ms": 4})]),
    }
    started, said = [], []

    def start(phase, names):
        started.append(list(names))
        return lives[names[0]]

    found = bench.phase_of("steps", list("abcd"), time.monotonic() + 60, 9, start, lambda *what: said.append(what))
    assert started == [list("abcd"), list("cd"), ["d"]]
    assert found["a"] == {"ms": 1} and found["d"] == {"ms": 4}
    assert found["b"] == {"ms": 2, "error": "ended with -11: no word"}
    assert found["c"] == {"error": "stopped, since it took more than 9 s"}
    assert len(said) == 5


def test_a_process_that_cannot_begin_is_not_started_again(bench):
    found = bench.phase_of(
        "steps", ["a"], time.monotonic() + 60, 9, lambda *_: Played([], "ended with 1: ImportError"), lambda *_: None
    )
    assert found == {"steps": {"error": "ended with 1: ImportError"}}


def test_what_is_asked_of_a_model(bench):
    report = bench.gpu_report
    assert report.wanted("gated", 1.5) == "1: yes; 2: no"
    assert report.wanted("diagonal-bilstm-128", 9.0) == "10: no"
    assert report.wanted("gated", None) == "1: not known; 2: not known"


def test_write(bench, tmp_path, monkeypatch, capsys):
    """The tables go between their marks, and nothing else changes; those of the stand-in are refused."""
    report = bench.gpu_report
    page = (report.DOCS / "results.md").read_text()
    (tmp_path / "results.md").write_text(page)
    monkeypatch.setattr(report, "DOCS", tmp_path)
    steps = {"gated": {"ms": {"ours": [2.0], "PyTorch": [5.0]}, "wall ms": {"ours": [2.0], "PyTorch": [5.0]}}}
    found = {"machine": {"gpu": "A GPU", "versions": {}, "lacking": {}}, "stand-in": False, "steps": steps}
    found |= {"left out": {"steps": ["row-lstm"]}, "compiled": {"gated": {"ms": [3.0]}}}
    file = tmp_path / "gpu.json"
    file.write_text(json.dumps(found))
    report.report(file, write=True)
    before, rest = (tmp_path / "results.md").read_text().split(report.START)
    table, after = rest.split(report.END)
    assert "| gated | 28x28x1 | 64 | 2.00 | 2.00 | 5.00 | 5.00 | 2.50 | 3.00 | 1.50 |" in table
    assert "1: yes; 2: yes" in table and "no time for row-lstm" in table
    assert page.startswith(before) and page.endswith(after)
    file.write_text(json.dumps(found | {"stand-in": True}))
    with pytest.raises(ValueError, match="figures of the stand-in"):
        report.report(file, write=True)


def test_without_gpu_and_cupy_it_says_so(tmp_path):
    """A line for each library that is missing, and no traceback."""
    hide = "import sys; sys.modules['cupy'] = sys.modules['torch'] = None; sys.argv[1:] = ['machine', '3', 'card']; "
    code = f"{hide}import runpy; runpy.run_path('gpu_work.py', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], cwd=BENCHMARKS, capture_output=True, text=True, check=True)
    lacking = json.loads(done.stdout)[1]["lacking"]
    assert set(lacking) == {"ours", "PyTorch"} and all("\n" not in line for line in lacking.values())
    assert "CuPy is not installed" in lacking["ours"] and "not installed" in lacking["PyTorch"]
