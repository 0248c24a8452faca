"""Trainings, and writers of checkpoints, that are killed: run as a script, since only a small process forks cheaply.

    python killing.py train FOLDER KILLS SEED        python killing.py write FOLDER KILLS SEED [half]

It prints one line of JSON, with what the tests look at. `half` is a writer that does not take care, which the tests
have to catch.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import trained

from minipixel import checkpoint, files
from minipixel.errors import FormatError
from minipixel.training import ModelCheckpoint
from minipixel.training.checkpoints import find, in_folder
from minipixel.training.training import Training

EPOCHS = 5


def in_a_child(work, kill_when=None):
    """Whether work() came to its end in a child process, which is killed when that function returns."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    if kill_when is not None:
        kill_when()
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the child failed: see its traceback"
    return not os.WIFSIGNALED(status)


def kill_trainings(folder, kills, rng):
    """Trainings killed at random moments and run again until they come to their end, until that is `kills` kills."""

    def run(where, save_freq, workers):
        model = trained.pixelcnnpp()
        type(model).shard_size = 3  # two shards a batch, so that two workers share it
        result = trained.train(where, model, save_freq=save_freq, workers=workers, epochs=EPOCHS)
        files.write_atomically(where / "outcome.json", json.dumps(result))

    def outcome(where):
        return json.loads((where / "outcome.json").read_text())

    trained.train()  # whatever is imported late is then there for all children
    began = time.perf_counter()
    in_a_child(lambda: run(folder / "whole", 1, workers=1))
    took = time.perf_counter() - began
    found = {"kills": 0, "trainings": 0, "in_mid_epoch": 0, "different": []}
    while found["kills"] < kills:
        where, save_freq = folder / f"training-{found['trainings']}", [1, 3, "epoch"][found["trainings"] % 3]
        where.mkdir()
        while found["kills"] < kills:
            workers, moment = rng.choice([1, 2]), rng.uniform(0.05, 0.8) * took
            if in_a_child(lambda w=where, s=save_freq, n=workers: run(w, s, n), lambda t=moment: time.sleep(t)):
                break
            found["kills"] += 1
            newest = find(where)
            found["in_mid_epoch"] += newest is not None and newest.position.step > 0
        if not (where / "outcome.json").exists():
            in_a_child(lambda w=where, s=save_freq: run(w, s, workers=2))
        found["trainings"] += 1
        result, wanted = outcome(where), outcome(folder / "whole")
        found["different"] += [f"{where.name}: {kind}" for kind in wanted if result[kind] != wanted[kind]]
    return found


def write_in_two_parts(path, content):
    """In its place; on a quiet machine one part would hardly ever be met half done."""
    with Path(path).open("wb") as file:
        file.write(content[: len(content) // 2])
        file.flush()
        time.sleep(5e-3)
        file.write(content[len(content) // 2 :])


def kill_writers(folder, kills, rng, half):
    """Writers of one checkpoint after the other, killed; then each file that has a checkpoint's name is read."""
    if half:
        checkpoint.write_atomically = write_in_two_parts
    model, saving = trained.pixelcnnpp(filters=40), ModelCheckpoint(folder, keep=2)
    training = Training(model, trained.mp.optim.Adam(), [], trained.IMAGES, {}, {"batch_size": 1})
    saving.on_train_begin(model, 0)
    found = {"kills": 0, "while_writing": 0, "unreadable": 0, "newest_gone": 0, "files": 0}
    newest, begun = 0, "checkpoint-*" if half else ".checkpoint-*.part"

    def write():
        for epoch in range(newest + 1, newest + 1000):
            training.position.epoch = epoch
            for parameter in model.parameters():
                parameter.data = np.full_like(parameter.data, epoch)
            saving.on_pause(training, stopping=False)

    def soon():
        """Some time while a file is being written, or just after."""
        whole = newest + rng.randrange(3)  # so many files are there, and the next one is begun
        for pattern in (f"checkpoint-{whole:05d}*",) * (whole > newest) + (begun,):
            deadline = time.monotonic() + 30
            while not any(folder.glob(pattern)) and time.monotonic() < deadline:
                time.sleep(2e-4)
        time.sleep(rng.uniform(0, 5e-3))

    while found["while_writing"] < kills:
        in_a_child(write, soon)
        found["kills"] += 1
        found["while_writing"] += half or any(folder.glob(".checkpoint-*.part"))
        for leavings in folder.glob(".checkpoint-*.part"):
            leavings.unlink()
        for file in in_folder(folder):
            found["files"] += 1
            try:
                weight = next(iter(trained.mp.load(file).state_dict().values()))
                assert weight.flat[0] == int(file.name.split("-")[1])
            except FormatError:
                found["unreadable"] += 1
        age = _newest(folder)
        found["newest_gone"] += age < newest
        newest = age
        if half:
            shutil.rmtree(folder)
            folder.mkdir()
            newest = 0
    return found


def _newest(folder):
    """The age of the newest checkpoint that can be read, 0 if there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a broken newest, which the control makes
        try:
            there = find(folder)
        except FormatError:
            return 0
    return there.position.epoch if there else 0


if __name__ == "__main__":
    what, where, how_many, seed = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), random.Random(int(sys.argv[4]))
    where.mkdir(exist_ok=True)
    if what == "train":
        print(json.dumps(kill_trainings(where, how_many, seed)))
    else:
        print(json.dumps(kill_writers(where, how_many, seed, half="half" in sys.argv)))
