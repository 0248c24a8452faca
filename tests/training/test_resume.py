"""A training that is stopped anywhere and resumed: the same bits as one that never stopped."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minipixel as mp
from minipixel.optim import OPTIMIZERS
from minipixel.stand_in import DeviceArray
from minipixel.training import EMA, Callback, Interrupted, ModelCheckpoint
from minipixel.training.checkpoints import find, in_folder
from minipixel.training.training import Training

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from reliability import record  # noqa: E402
from trained import BATCH, EPOCHS, IMAGES, LABELS, STEPS, flip, pixelcnn, pixelcnnpp, train  # noqa: E402

WITH_MOMENTUM = [("rmsprop", {"momentum": 0.9}), ("sgd", {"momentum": 0.9, "nesterov": True})]


@pytest.fixture(autouse=True)
def two_shards_a_batch(monkeypatch):
    """So that two workers share it."""
    monkeypatch.setattr(mp.models.Model, "shard_size", 3)


def every_checkpoint(folder, **options):
    """A whole training, its outcome, and a checkpoint of each step and of each epoch, oldest first."""
    whole = train(None, pixelcnnpp(), callbacks=[ModelCheckpoint(folder, save_freq=1, keep=100)], **options)
    for epoch in range(1, EPOCHS):  # what save_freq="epoch" saves: all of the epoch, its validation too
        step = folder / f"checkpoint-{epoch - 1:05d}-{STEPS:06d}.safetensors"
        assert find(step).position.step == STEPS
    return whole, in_folder(folder)[::-1]


def test_from_every_step_to_the_same_bits(tmp_path):
    """With dropout, EMA, augmentation, learning rates, validation and conditions; for any number of workers."""
    whole, files = every_checkpoint(tmp_path, workers=2)
    assert [(p.epoch, p.step) for p in (find(file).position for file in files)] == [
        *((epoch, step) for epoch in range(EPOCHS) for step in range(1, STEPS + 1)),
        (EPOCHS, 0),
    ]
    for number, file in enumerate(files):
        assert train(None, pixelcnnpp(), resume=file, workers=1 + number % 2) == whole, file.name
    assert train(None, pixelcnnpp(), workers=1) == whole


def test_from_the_end_of_every_epoch_and_for_more_epochs(tmp_path):
    whole = train()
    for epochs in range(1, EPOCHS + 1):  # one and the same folder
        part = train(tmp_path, epochs=epochs)
    assert part == whole and [find(file).position.epoch for file in in_folder(tmp_path)] == [3, 2, 1]
    assert train(tmp_path) == whole  # nothing is left to do, and nothing is done


@pytest.mark.parametrize(("kind", "options"), [*((kind, {}) for kind in OPTIMIZERS), *WITH_MOMENTUM])
def test_every_optimizer(kind, options, tmp_path):
    """All that an optimizer remembers is in the file."""

    def run(*where, **more):
        return train(*where, pixelcnn(), optimizer=OPTIMIZERS[kind](**options, clip_norm=50), **more)

    whole = run(None)
    run(tmp_path, epochs=1)
    assert run(tmp_path) == whole


def test_each_part_of_the_state_matters(tmp_path, monkeypatch):
    """The comparison sees what is forgotten: whichever it is, something comes out differently."""
    whole = train(callbacks=[ModelCheckpoint(tmp_path, save_freq=3, keep=100)])
    (file,) = tmp_path.glob("checkpoint-00001-000002*")
    assert train(resume=file) == whole
    forgetful = [
        (mp.optim.Optimizer, "load_state_dict"),
        (EMA, "restore"),
        (mp.nn.Module, "load_state_dict"),
    ]
    for owner, name in forgetful:
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, lambda *arguments: None)
            assert train(resume=file) != whole, name
    restore = Training.restore_model
    for name in ("epoch", "step", "seen", "nats"):

        def astray(training, saved, name=name):
            restore(training, saved)
            setattr(training.position, name, getattr(training.position, name) + 1)

        with monkeypatch.context() as patch:
            patch.setattr(Training, "restore_model", astray)
            assert train(resume=file) != whole, name


def killing(*arguments):
    """What killing.py found, in a process of its own, which is small enough to fork."""
    quiet = {"MINIPIXEL_NUMBA": "0", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    script = [sys.executable, str(HERE / "killing.py"), *map(str, arguments)]
    done = subprocess.run(script, capture_output=True, text=True, env=os.environ | quiet, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_killed_at_random_and_resumed(tmp_path):
    found = killing("train", tmp_path / "killed", 4, 0)
    assert found["kills"] == 4 and found["different"] == []


@pytest.mark.slow
def test_killed_at_random_fifty_times_and_resumed(tmp_path):
    found = killing("train", tmp_path / "killed", 50, 0)
    assert found["kills"] == 50 and found["in_mid_epoch"] >= 5 and found["different"] == []
    record(
        "resume",
        f"{found['kills']} SIGKILLs at random moments of {found['trainings']} trainings by 1 or 2 workers, with "
        f"dropout, EMA and augmentation, {found['in_mid_epoch']} of them resumed from the middle of an epoch: weights, "
        "optimiser and history as if never stopped, to the bit, in all",
    )


def test_killed_while_writing(tmp_path):
    found = killing("write", tmp_path / "written", 20, 0)
    assert found["while_writing"] == 20 and found["files"] > 0
    assert found["unreadable"] == found["newest_gone"] == 0


def test_a_careless_writer_is_caught(tmp_path):
    """That is, a file that is written in its place: of so many kills some leave half of it."""
    found = killing("write", tmp_path / "written", 20, 0, "half")
    assert found["unreadable"] > 0


@pytest.mark.slow
def test_killed_while_writing_two_hundred_times(tmp_path):
    found = killing("write", tmp_path / "written", 200, 0)
    assert found["while_writing"] == 200 and found["unreadable"] == found["newest_gone"] == 0
    record(
        "kill-while-writing",
        f"{found['while_writing']} SIGKILLs while a checkpoint was being written, {found['files']} files read "
        "afterwards: every file whole, the newest one never lost",
    )


class CtrlC(Callback):
    """At a certain event, so many times."""

    def __init__(self, event, after, times=1):
        self.after, self.times = after, times
        setattr(self, event, self.count)

    def count(self, *arguments):
        self.after -= 1
        if self.after == 0:
            for _ in range(self.times):
                os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(
    ("event", "after"),
    [("on_batch_end", 1), ("on_batch_end", 3), *((f"on_{e}", 2) for e in ("evaluation_begin", "epoch_end", "pause"))],
)
def test_ctrl_c_saves_and_says_how_to_go_on(event, after, tmp_path, capsys):
    whole = train()
    with pytest.raises(Interrupted) as stop:
        train(tmp_path, callbacks=[CtrlC(event, after)], progress=True)
    assert stop.value.checkpoint == in_folder(tmp_path)[0]
    step = {"on_batch_end": after, "on_pause": 3, "on_evaluation_begin": 0, "on_epoch_end": 0}[event]
    assert find(tmp_path).position.step == step
    said = capsys.readouterr().err
    assert f"resume={str(stop.value.checkpoint)!r}" in said and f"resume={str(stop.value.checkpoint)!r}" in str(
        stop.value
    )
    assert stop.value.history.epochs == (1 if step else after)
    assert train(tmp_path) == whole
    assert train(resume=tmp_path, callbacks=[]) == whole


def test_a_second_ctrl_c_leaves_what_was_saved_before(tmp_path):
    whole = train()
    with pytest.raises(Interrupted) as stop:
        train(tmp_path, callbacks=[CtrlC("on_batch_end", STEPS + 2, times=2)])
    assert find(tmp_path).position.epoch == 1 and find(tmp_path).position.step == 0
    assert stop.value.checkpoint == in_folder(tmp_path)[0]
    assert train(tmp_path) == whole


def test_ctrl_c_without_checkpoints_names_none():
    with pytest.raises(Interrupted) as stop:
        train(callbacks=[CtrlC("on_batch_end", 1)])
    assert stop.value.checkpoint is None and "resume" not in str(stop.value)


def test_a_callback_may_stop_training_and_it_stays_stopped(tmp_path):
    class Enough(Callback):
        def on_train_begin(self, model, images_in_all):
            self.heard = 0

        def on_epoch_end(self, epoch, logs):
            self.heard += 1
            self.stop_training = epoch == 1

        def state(self):
            return {"stopped": int(self.stop_training)}

        def restore(self, state):
            self.stop_training = bool(state["stopped"])

    stopped = train(tmp_path, callbacks=[Enough()])
    assert stopped == train(epochs=2)
    enough = Enough()
    assert train(tmp_path, callbacks=[enough]) == stopped and enough.heard == 0


def test_a_callback_may_stop_in_the_middle_of_an_epoch(tmp_path):
    class Enough(Callback):
        def on_batch_end(self, epoch, images, logs):
            self.stop_training = epoch == 1

    train(tmp_path, callbacks=[Enough()])
    assert (find(tmp_path).position.epoch, find(tmp_path).position.step) == (1, 1)
    assert train(tmp_path) == train()


def test_resumed_callbacks_hear_what_comes_next_and_no_more(tmp_path):
    class Listener(Callback):
        def __init__(self):
            self.heard = []

        def on_train_begin(self, model, images_in_all):
            self.heard.append(("train", images_in_all))

        def on_epoch_begin(self, epoch, optimizer):
            self.heard.append(("begin", epoch))

        def on_batch_end(self, epoch, images, logs):
            self.heard.append(("batch", epoch))

        def on_epoch_end(self, epoch, logs):
            self.heard.append(("end", epoch))

        def state(self):
            return {
                "last": list(map(list, self.heard[-1:])),
                "where": np.array([len(self.heard)]),
                "none": np.zeros((0, 2)),
            }

        def restore(self, state):
            assert state["none"].shape == (0, 2)
            self.heard.append(("restored", *state["last"][0], int(state["where"][0])))

    with pytest.raises(Interrupted):
        train(tmp_path, callbacks=[Listener(), CtrlC("on_batch_end", STEPS - 1)], epochs=2)
    listener = Listener()
    train(tmp_path, callbacks=[listener], epochs=2)
    rest = [("begin", 1), *[("batch", 1)] * STEPS, ("end", 1)]
    left = 2 * len(IMAGES) - BATCH * (STEPS - 1)
    assert listener.heard == [("train", left), ("restored", "batch", 0, STEPS + 1), ("batch", 0), ("end", 0), *rest]


def test_rng_none_goes_on_with_the_stored_one(tmp_path):
    """The seed that nobody chose is in the file."""
    model = pixelcnn()
    whole = train(None, model, rng=None, callbacks=[ModelCheckpoint(tmp_path, save_freq=1, keep=100)])
    for file in in_folder(tmp_path)[3::4]:
        assert train(None, pixelcnn(), resume=file, rng=None) == whole
    assert train(None, pixelcnn(), rng=None) != whole


def test_any_kind_of_seed(tmp_path):
    for number, seed in enumerate(
        [lambda: 5, lambda: np.random.SeedSequence([1, 2], spawn_key=(3,)), lambda: np.random.default_rng(4)]
    ):
        whole, folder = train(None, pixelcnn(), rng=seed()), tmp_path / str(number)
        train(folder, pixelcnn(), rng=seed(), epochs=1)
        assert train(folder, pixelcnn(), rng=seed()) == whole


def test_a_checkpoint_is_a_model(tmp_path):
    """With averaged weights, as fit leaves the model, and no more; from the middle of an epoch, too."""
    model, ema = pixelcnnpp(), EMA(0.9)
    kept = []

    class Keep(Callback):
        def on_pause(self, training, stopping):
            kept.append({name.removeprefix("average/"): w for name, w in ema.state().items() if "/" in name})

    options = {"epochs": 2, "batch_size": BATCH, "progress": False}
    mp.fit(model, IMAGES, LABELS, callbacks=[ema, Keep(), ModelCheckpoint(tmp_path, save_freq=1, keep=99)], **options)
    files = in_folder(tmp_path)[::-1]
    kept.pop(STEPS)  # the end of the first epoch, at which nothing is saved by the step
    assert len(files) == len(kept) == 2 * STEPS + 1
    for file, averages in zip(files, kept, strict=True):
        loaded = mp.load(file)
        assert loaded.config == model.config
        for name, weight in loaded.state_dict().items():
            np.testing.assert_array_equal(weight, averages[name])
    for name, weight in model.state_dict().items():
        np.testing.assert_array_equal(weight, loaded.state_dict()[name])
    loaded.save(tmp_path / "model.safetensors")
    with pytest.raises(mp.FormatError, match="got a model without a training, expected a checkpoint") as error:
        mp.fit(model, IMAGES, LABELS, resume=tmp_path / "model.safetensors", **options)
    assert "\n" not in str(error.value)


def test_resumed_on_a_device(tmp_path, played_gpu):
    options = {"epochs": 2, "transform": None}

    def on_device():
        model = pixelcnn()
        model.to("cuda")
        return model

    whole = train(None, on_device(), **options)
    train(tmp_path, on_device(), **options | {"epochs": 1})
    resumed = on_device()
    assert train(tmp_path, resumed, **options) == whole
    assert all(isinstance(parameter.data, DeviceArray) for parameter in resumed.parameters())


def test_a_schedule_goes_on(tmp_path):
    def run(folder=None, factor=0.9, **options):
        history = mp.fit(
            model := pixelcnn(),
            IMAGES,
            LABELS,
            **{"epochs": 2, "batch_size": BATCH, "progress": False, "resume": folder} | options,
            optimizer=mp.optim.Adam(mp.optim.exponential_decay(1e-2, factor)),
            callbacks=[ModelCheckpoint(folder)] if folder else [],
        )
        return model.state_dict(), history

    whole, _ = run()
    run(tmp_path, epochs=1)
    with pytest.raises(
        ValueError, match=r"^resume: got a schedule that gives 0.00512[0-9]* for step 3, wanted 0.00729"
    ) as error:
        run(tmp_path, factor=0.8)
    assert "\n" not in str(error.value)
    resumed, _ = run(tmp_path)
    for name, weight in whole.items():
        np.testing.assert_array_equal(weight, resumed[name])


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"batch_size": BATCH + 1}, "resume: got batch_size 7, wanted 6, as in .*; give the same, or train another"),
        ({"optimizer": mp.optim.Nadam(5e-3)}, "resume: got optimizer's learning_rate 0.005, wanted 0.004"),
        ({"optimizer": mp.optim.Nadam(4e-3, beta1=0.8)}, "resume: got optimizer's beta1 0.8, wanted 0.9"),
        ({"optimizer": mp.optim.Adam(4e-3)}, "resume: got optimizer's kind 'Adam', wanted 'Nadam'"),
        ({"rng": 1}, "resume: got rng's entropy 1, wanted 0"),
        ({"transform": None}, "resume: got transform False, wanted True"),
        ({"epochs": 1}, "epochs: got 1, wanted more, since 2 epochs and 0 steps"),
        ({"model": pixelcnn(blocks=2)}, "resume: got the model's blocks 2, wanted 1"),
        ({"model": pixelcnn(dtype="float64")}, "resume: got the model's dtype 'float64', wanted 'float32'"),
        ({"model": pixelcnnpp()}, "resume: got the model's "),
    ],
)
def test_another_training_is_refused(options, match, tmp_path):
    train(tmp_path, epochs=2)
    model = options.get("model") or pixelcnn()
    before, files = model.state_dict(), sorted(tmp_path.iterdir())
    with pytest.raises(ValueError, match=f"^{match}") as error:
        train(tmp_path, **options | {"model": model})
    assert "\n" not in str(error.value)
    for name, weight in model.state_dict().items():
        np.testing.assert_array_equal(weight, before[name])
    assert sorted(tmp_path.iterdir()) == files


@pytest.mark.parametrize(
    ("images", "labels", "match"),
    [
        (IMAGES[::-1], LABELS, "images '22x4x4x1 uint8, SHA-256"),
        (IMAGES[:20], LABELS[:20], "condition '20 int64, SHA-256"),
        (IMAGES.astype(int), LABELS, "images '22x4x4x1 int64, SHA-256"),
        (IMAGES, LABELS[::-1], "condition '22 int64, SHA-256"),
    ],
)
def test_other_data_are_refused(images, labels, match, tmp_path):
    train(tmp_path, epochs=1)
    with pytest.raises(ValueError, match=f"^resume: got {match}"):
        mp.fit(
            *(pixelcnn(), images, labels),
            **{"resume": tmp_path, "batch_size": BATCH, "optimizer": mp.optim.Nadam(4e-3), "transform": flip},
        )


def test_nothing_to_resume(tmp_path, capsys):
    whole = train()
    for folder in (tmp_path / "missing", tmp_path):
        assert train(folder, progress=True) == whole
        assert f"resume: nothing in {folder} yet, starting at the beginning" in capsys.readouterr().err
        assert train(folder, progress=True, epochs=EPOCHS) == whole
        assert f"{EPOCHS} epochs and 0 steps of the next are done" in capsys.readouterr().err
    with pytest.raises(FileNotFoundError):
        train(resume=tmp_path / "missing.safetensors")


@pytest.mark.parametrize("damage", [b"", b"\0" * 100, None])
def test_a_broken_newest_falls_back_to_the_one_before(damage, tmp_path):
    whole = train(tmp_path, save_freq=1)
    newest, before = in_folder(tmp_path)[:2]
    newest.write_bytes(newest.read_bytes()[:-1] if damage is None else damage)
    with pytest.warns(UserWarning, match=f"^resume: {newest}: got .*; going back to the checkpoint before") as warned:
        assert train(tmp_path, save_freq=1) == whole
    assert len(warned) == 1 and "\n" not in str(warned[0].message)
    assert find(newest).position.epoch == EPOCHS  # written again
    for file in in_folder(tmp_path):
        file.write_bytes(b"")
    with pytest.warns(UserWarning, match="going back"), pytest.raises(mp.FormatError, match=str(tmp_path)):
        train(tmp_path)
    assert before.exists()


def test_state_that_nobody_takes_and_none_to_take_are_warned_of(tmp_path):
    options = {"epochs": 1, "batch_size": BATCH, "progress": False}
    mp.fit(pixelcnn(), IMAGES, LABELS, callbacks=[EMA(), ModelCheckpoint(tmp_path)], **options)
    with pytest.warns(UserWarning, match=r"^resume: .* has state of EMA, which is not among the callbacks"):
        mp.fit(pixelcnn(), IMAGES, LABELS, resume=tmp_path, **options)
    shutil.rmtree(tmp_path)
    mp.fit(pixelcnn(), IMAGES, LABELS, callbacks=[ModelCheckpoint(tmp_path)], **options)
    with pytest.warns(UserWarning, match=r"^resume: .* has no state of EMA, which starts anew"):
        mp.fit(pixelcnn(), IMAGES, LABELS, resume=tmp_path, callbacks=[EMA()], **options)
