"""The pieces of benchmarks/training.py, on small images: that it times what it says, and counts right."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import minipixel as mp
from minipixel import models

torch = pytest.importorskip("torch")
BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
ROWS = ["pixelcnn-h16", "pixelcnn-h32", "gated", "row-lstm", "diagonal-bilstm", "pixelcnnpp"]


@pytest.fixture(scope="module")
def bench():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        import training

        yield training


@pytest.mark.parametrize("row", ROWS)
def test_the_twins_loss_and_gradient_are_ours(bench, row):
    """In float64, and of weights that are none of their starting values; nothing dropped."""
    kind, options, _, levels = bench.ROWS[row]
    alone = {"diagonal-bilstm": {"phantom_column": False}}.get(kind, {})
    model = models.MODELS[kind]((8, 6, 1), levels, **options, **alone, dtype="float64")
    rng = np.random.default_rng(0)
    for parameter in model.parameters():
        parameter.data = parameter.data + rng.uniform(-0.1, 0.1, parameter.shape)
    images = rng.integers(0, levels, (3, 8, 6, 1), dtype=np.uint8)
    twins = bench.torch_training
    twin = twins.twin_of(model).eval()
    theirs = twins.nats(twin, twins.scaled(model, images), levels)
    theirs.backward()
    loss = model.loss(images)
    loss.backward()
    np.testing.assert_allclose(float(theirs.detach()), float(loss.data), rtol=1e-9)
    mine = np.sort([float((parameter.grad**2).sum()) for parameter in _biases(model)])
    others = [p.grad for name, p in twin.named_parameters() if name.endswith("bias")]
    np.testing.assert_allclose(mine, np.sort([float((g**2).sum()) for g in others]), rtol=1e-6)


def test_the_twin_of_colours_has_our_likelihood(bench):
    """Whose means of green and blue follow the colours before them."""
    model = models.PixelCNNpp((8, 8, 3), 256, filters=6, resnets=1, hierarchies=2, dropout=0.0, dtype="float64")
    model.initialize(np.random.default_rng(0).integers(0, 256, (9, 8, 8, 3)))
    images = np.random.default_rng(1).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    assert bench.torch_training.disagreement(model, images) < 1e-6


def _biases(model):
    return [parameter for name, parameter in model.named_parameters() if name.endswith("bias")]


def test_a_twin_that_computes_something_else_is_not_timed(bench, monkeypatch):
    monkeypatch.setattr(bench.torch_training, "nats", lambda twin, x, levels, head: torch.tensor(1.0))
    with pytest.raises(ValueError, match="losses that are"):
        bench.contestants(bench.ours("pixelcnn-h16", 8), bench.noise("pixelcnn-h16", 4, 8), [1], 1, 4)


def test_measure(bench):
    """One figure per step, of each round, of ours and of both layouts."""
    found = bench.measure("pixelcnn-h16", rounds=2, steps=3, threads=[1], side=8, batch=4)
    assert list(found["seconds"]) == ["ours", "contiguous_format, 1 threads", "channels_last, 1 threads"]
    assert all(np.shape(seconds) == (2, 3) and np.min(seconds) > 0 for seconds in found["seconds"].values())
    assert found["flop"] == 4 * bench.flop(bench.ours("pixelcnn-h16", 8))


def test_with_patience_the_quietest_rounds_count(bench, monkeypatch):
    shares, runs = iter([0.5, 0.05, 0.7, 0.02, 0.9]), iter(range(100))
    monkeypatch.setattr(bench.accounts.Others, "share", lambda self: next(shares))
    monkeypatch.setattr(bench, "contestants", lambda *settings: {"ours": lambda: np.array([float(next(runs))])})
    found = bench.measure("pixelcnn-h16", 2, 1, [1], patience=60, side=8, batch=4)
    assert found["seconds"] == {"ours": [[4.0], [2.0]]}  # run 0 was the one that compiles
    assert found["rounds in all"] == 4 and found["other work"] == pytest.approx(0.035)


def test_a_twins_step_learns(bench):
    model, images = bench.ours("pixelcnn-h16", 8), bench.noise("pixelcnn-h16", 4, 8)
    step = bench.torch_training.Step(model, images, "channels_last")
    before = float(bench.torch_training.nats(step.twin, step.x, 2).detach())
    for _ in range(20):
        step()
    assert float(bench.torch_training.nats(step.twin, step.x, 2).detach()) < before - 1


@pytest.mark.parametrize("row", [*ROWS[:5], "multi-scale"])
def test_a_certain_model_meets_denormal_numbers(bench, row, monkeypatch):
    """With the mode off: else its step would be no different from a fresh one's on any processor."""
    import denormals as counting
    from training_models import blank, certain

    from minipixel import denormals

    monkeypatch.setattr(denormals, "mode", lambda: None)
    model = certain(row, 8)
    model.loss(blank(row, 4, 8)).backward()
    assert sum(counting.count(parameter.grad) for parameter in model.parameters()) > 100


def test_certain_and_fresh_take_turns(bench):
    import near_certain

    found = near_certain.measure("pixelcnn-h16", rounds=2, steps=2, side=8, batch=4)
    assert set(found) == {"ours", "contiguous_format, 2 threads", "channels_last, 2 threads"}
    assert all(np.shape(found[whose][kind]) == (2, 2) for whose in found for kind in ("fresh", "certain"))
    alone = near_certain.measure("multi-scale", rounds=1, steps=1, side=8, batch=4)
    assert set(alone) == {"ours"} and near_certain.summary(alone)[1] is None
    assert len(near_certain.line("pixelcnn-h16", found).split()) == 7
    assert near_certain.penalty(n=64, runs=3) > 0


def test_of_certain_and_fresh_the_medians_count(bench):
    import near_certain

    ours = {"fresh": [[0.1, 0.1, 9.0], [0.2, 0.2, 0.2]], "certain": [[0.1, 0.1, 0.1], [0.3, 0.3, 9.0]]}
    twins = {"a": {"fresh": [[0.4], [0.4]], "certain": [[2.0], [2.0]]}, "b": {"fresh": [[9.0]], "certain": [[9.0]]}}
    mine, theirs = near_certain.summary({"ours": ours} | twins)
    assert mine == (pytest.approx(150), pytest.approx(200), pytest.approx(1.25))
    assert theirs == (pytest.approx(400), pytest.approx(2000), pytest.approx(5))


@pytest.mark.slow
def test_first_steps_of_fresh_processes(bench):
    """Every process ends, and tells of as many steps as it was asked for; the command line's too."""
    import first_fit

    found = first_fit.measure(rounds=1, steps=3, side=8)
    assert set(found) == set(first_fit.ROWS)
    assert all(len(run["seconds"]) == 3 and run["first done"] > 0 for runs in found.values() for run in runs)
    assert len(list(first_fit.lines(found))) == 1 + len(found)


def test_the_ratio_to_a_second_fit(bench):
    import first_fit

    runs = {"first fit": [1.0, 0.1, 0.1], "second fit": [0.2, 0.1, 0.1], "minipixel train": [0.4, 0.2, 0.2]}
    found = {row: [{"seconds": seconds, "first done": 1.5}] * 2 for row, seconds in runs.items()}
    ratios = [float(line.split()[-1]) for line in list(first_fit.lines(found))[1:]]
    assert ratios == [3.0, 1.0, 2.0]


def test_flop_of_a_pixelcnn(bench):
    """By hand: pairs of a pixel and a neighbour inside the image, times channels."""
    H, W, h, blocks = 6, 5, 4, 3
    model = models.PixelCNN((H, W, 1), 2, hidden=h, blocks=blocks)

    def pairs(taps):
        return sum(0 <= r + dr < H and 0 <= c + dc < W for r in range(H) for c in range(W) for dr, dc in taps)

    before = [(dr, dc) for dr in range(-3, 1) for dc in range(-3, 4) if (dr, dc) < (0, 0)]
    near = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 0)]
    one = [(0, 0)]
    stem = pairs(before) * 2 * h
    block = pairs(one) * 2 * (2 * h * h) + pairs(near) * h * h
    top = pairs(one) * (2 * (2 * h) ** 2 + 2 * h)
    assert bench.flop(model) == 2 * (2 * stem + 3 * (blocks * block + top))


def test_flop_of_scans_and_of_halved_maps(bench):
    """A row's state reads three states of each row but the first; a halved map has a quarter of the pixels."""
    row = models.RowLSTM((4, 4, 1), 2, hidden=2, layers=1)
    more = models.RowLSTM((4, 4, 1), 2, hidden=2, layers=2)
    scan, see, widen = 3 * (4 + 3 + 3) * 2 * 8, (16 + 12) * 4 * 8, 16 * 2 * 4
    assert bench.flop(more) - bench.flop(row) == 6 * (scan + see + widen)

    flat, deep = (models.PixelCNNpp((8, 8, 1), 256, filters=3, resnets=1, hierarchies=n) for n in (1, 2))
    assert bench.flop(flat) < bench.flop(deep) < 3 * bench.flop(flat)


def test_flop_refuses_to_miss_a_weight(bench):
    model = models.PixelCNN((4, 4, 1), 2, hidden=2, blocks=1)
    model.unused = model.init.weight(3, 3)
    with pytest.raises(ValueError, match="one for each weight"):
        bench.flop(model)


@pytest.mark.parametrize("row", ["pixelcnn-h16", "diagonal-bilstm", "pixelcnnpp"])
def test_profile_sees_where_the_time_goes(bench, row):
    """Every instruction of the table is timed, in the direction in which it is walked."""
    profile = bench.training_profile
    alone, found = profile.profile(row, steps=2, side=12, batch=20)
    assert alone > 0 and all(count > 0 and there + back > 0 for count, there, back in found.values())
    assert all(there == 0 for name, (_, there, _) in found.items() if name.endswith(("_X", "_W")))
    model = profile.ours(row, 12)
    table = mp.plan.table_of(model, model.shard_of_batch(20), dropping=True)
    assert sum(count for count, _, _ in found.values()) == len(table.rows)
    assert len(list(profile.lines(row, alone, found))) == 2 + len(found)


@pytest.fixture
def row():
    """What three rounds of three steps might have found."""
    seconds = {
        "ours": [[0.1, 0.1, 0.9], [0.2, 0.2, 0.2], [0.1, 0.1, 0.1]],
        "contiguous_format, 2 threads": [[0.5] * 3] * 3,
        "channels_last, 2 threads": [[0.3, 0.3, 0.3], [0.4, 0.4, 0.4], [0.3, 0.3, 0.3]],
    }
    row = {"model": "gated", "batch": 64, "side": 28, "flop": 5e9, "seconds": seconds}
    row |= {"other work": 0.25, "memory": {"ours": 10.0, "contiguous_format": 30.0, "channels_last": 20.0}}
    return row


def test_summary_and_table(bench, row):
    report = bench.training_report
    medians, ratio, (least, most), of_fastest = report.summary(row)
    assert medians["ours"] == pytest.approx(100) and ratio == pytest.approx(3)
    assert (least, most) == (pytest.approx(2), pytest.approx(3)) and of_fastest == pytest.approx(3)
    cells = report.rows({"rows": [row], "peak": 1e11})[2].strip("| ").split(" | ")
    assert "25%" in report.line(row, peak=1e11)
    assert cells == ["gated", "64", "50.0", "100", "500", "300", "3.00", "2.00 to 3.00", "3.00", "2.00", "10", "20"]


def test_write_replaces_the_table_and_nothing_else(bench, row, tmp_path, monkeypatch, capsys):
    report = bench.training_report
    page = (report.DOCS / "results.md").read_text()
    (tmp_path / "results.md").write_text(page)
    monkeypatch.setattr(report, "DOCS", tmp_path)
    found = {"machine": {"cpu": "A CPU", "cores": 2, "load before": 0.1, "versions": {"torch": "2"}}, "peak": 1e11}
    (tmp_path / "training.json").write_text(json.dumps(found | {"rows": [row]}))
    report.report(tmp_path / "training.json", write=True)
    written = (tmp_path / "results.md").read_text()
    before, table = written.split(report.START)
    table, after = table.split(report.END)
    assert table == capsys.readouterr().out[:-1] and "| gated | 64 |" in table and "A CPU, 2 cores" in table
    assert before == page[: page.index(report.START)]
    assert after == page[page.index(report.END) + len(report.END) :]


@pytest.mark.slow
@pytest.mark.parametrize("whose", ["ours", "contiguous_format"])
def test_memory(bench, whose):
    """Of a real batch: more than its images, less than a GiB; and ours in a process without PyTorch."""
    if not bench.training_memory.accounts.KNOWN:
        pytest.skip("this system keeps no account of a process's peak memory")
    assert 10 < bench.training_memory.in_fresh_process("pixelcnn-h16", whose) < 1024


def test_our_memory_is_measured_without_pytorch():
    code = "import sys; import training_memory as t; t.steps_of('gated', 'ours', 8, 2)(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=BENCHMARKS, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_other_work_on_the_cores_is_noticed(bench):
    """While another process is busy, at least a fifth of a core is seen to be taken."""
    accounts = bench.accounts
    if not accounts.KNOWN:
        pytest.skip("this system does not say what its cores do")
    watched = accounts.Others()
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:  # once it has ended it counts as our own
        time.sleep(1.5)
        share = watched.share()
        busy.kill()
    cores = os.cpu_count()
    assert share > 0.2 / cores
