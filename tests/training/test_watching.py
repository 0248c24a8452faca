"""Callbacks that watch training: they stop it, write about it, draw from it, and change none of its steps."""

import csv
import errno
import os
import signal
import struct
import warnings
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

import minipixel as mp
from minipixel.training import Interrupted
from minipixel.training.callbacks import (
    EMA,
    Callback,
    CSVLogger,
    EarlyStopping,
    SampleImages,
    TensorBoard,
    TerminateOnNaN,
)

IMAGES = np.random.default_rng(0).integers(0, 4, (50, 6, 5, 1)).astype(np.uint8)


def small(**options):
    return mp.models.PixelCNN((6, 5, 1), 4, **{"hidden": 4, "blocks": 1} | options)


def train(model, *callbacks, images=IMAGES, condition=None, **options):
    options = {"epochs": 3, "batch_size": 24, "progress": False, "callbacks": callbacks} | options
    return mp.fit(model, images, condition, **options)


def assert_same_bits(a, b):
    assert a.keys() == b.keys()
    for name, weight in a.items():
        np.testing.assert_array_equal(weight, b[name], err_msg=name)


class Script(Callback):
    """Puts numbers of its own in the logs, so that a test knows which epoch is the best; and keeps the weights."""

    def __init__(self, *values, name="val_loss"):
        self.values, self.name = values, name

    def on_train_begin(self, model, images_in_all):
        self.model, self.weights = model, []

    def on_epoch_end(self, epoch, logs):
        logs[self.name] = self.values[epoch]
        self.weights.append(self.model.state_dict())


class Interrupt(Callback):
    """Ctrl-C in the given epoch, after its first step."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_batch_end(self, epoch, images, logs):
        if epoch == self.epoch:
            os.kill(os.getpid(), signal.SIGINT)


# --- stopping -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "values", "epochs", "stopped", "best"),
    [
        ({"patience": 0}, [3, 2, 2, 1], 3, 2, 1),  # as in Keras, 0 stops at the first epoch that is no better
        ({"patience": 2}, [3, 2, 4, 1, 2, 2, 0], 6, 5, 3),
        ({"patience": 2, "min_delta": 0.5}, [3, 2, 1.75, 1.6, 0], 4, 3, 1),
        ({"patience": 2, "min_delta": 0.5}, [3, 2, 1.75, 1.25, 1], 5, None, 3),
        ({"patience": 1}, [np.nan, 3, np.nan, 1], 1, 0, None),
        ({"patience": 2}, [np.nan, 3, np.nan, 1, 2], 5, None, 3),
        ({"patience": 9}, [3, 2, 1, 4], 4, None, 2),
        ({"patience": 1, "monitor": "mine"}, [1, 2, 0], 2, 1, 0),
    ],
)
@pytest.mark.parametrize("restore", [False, True])
def test_early_stopping(options, values, epochs, stopped, best, restore):
    stopping = EarlyStopping(restore_best_weights=restore, **options)
    model, script = small(), Script(*values, name=stopping.monitor)
    history = train(model, script, stopping, epochs=len(values))
    assert history.epochs == epochs and stopping.best_epoch == best
    assert stopping.stopped_epoch == stopped
    assert stopping.best == (np.inf if best is None else values[best])
    assert_same_bits(model.state_dict(), script.weights[best if restore and best is not None else -1])


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("values", [[3, 1, 2, 0], [3, 1, 2]])
def test_the_best_average_is_restored_in_either_order(order, values):
    """Stopped or not: EMA, which leaves its last average behind, does not overwrite the best one."""
    stopping, script, model = EarlyStopping(patience=1, restore_best_weights=True), Script(*values), small()
    train(model, script, *[EMA(0.9), stopping][:: -1 if order else 1], epochs=len(values))
    assert_same_bits(model.state_dict(), script.weights[1])
    plain = Script(*values)
    train(small(), plain, epochs=2)
    assert any((weight != script.weights[1][name]).any() for name, weight in plain.weights[1].items())  # no average


def test_early_stopping_by_a_real_validation():
    """What it compares is what the history has; the model is then the one that had that loss."""
    stopping, model = EarlyStopping(patience=3, restore_best_weights=True), small()
    options = {"epochs": 40, "validation": IMAGES[40:], "optimizer": mp.optim.Adam(0.05)}
    history = train(model, stopping, EMA(0.8), images=IMAGES[:40], **options).history["val_loss"]
    assert len(history) < 40 and len(history) - 1 == stopping.stopped_epoch == stopping.best_epoch + 3
    assert stopping.best == min(history) == history[stopping.best_epoch] == -model.log_prob(IMAGES[40:]).mean()


def test_ctrl_c_leaves_the_best_weights():
    """Also where it comes so early that the number to watch was never seen: that is no typing slip."""
    stopping, script, model = EarlyStopping(patience=5, restore_best_weights=True), Script(1, 2, 3), small()
    with pytest.raises(Interrupted):
        train(model, script, stopping, Interrupt(2), epochs=9)
    assert_same_bits(model.state_dict(), script.weights[0])
    with pytest.raises(Interrupted):
        train(small(), EarlyStopping(), Interrupt(0), validation=IMAGES)


def test_a_callback_may_be_used_again():
    stopping = EarlyStopping(patience=0, restore_best_weights=True)
    for _ in range(2):
        assert train(small(), Script(1, 2, 3), stopping).epochs == 2
        assert (stopping.best, stopping.best_epoch, stopping.stopped_epoch) == (1, 0, 1)


@pytest.mark.parametrize("stopped", [False, True])
def test_early_stopping_goes_on_from_its_state(stopped):
    """As a resumed training does: first on_train_begin, then restore. One that was stopped takes no further step."""
    values, first = [3, 1, 2, 0] if stopped else [3, 1, 2, 2, 0], EarlyStopping("mine", 0.0, 1 + (not stopped), True)
    script, kept = Script(*values, name="mine"), []

    class Checkpoint(Callback):
        def on_evaluation_end(self):
            kept.append(first.state())

    train(small(), script, first, Checkpoint(), epochs=3)
    assert all(isinstance(value, (int, float, np.ndarray)) for value in kept[2].values())

    class Resumed(EarlyStopping):
        def on_train_begin(self, model, images_in_all):
            super().on_train_begin(model, images_in_all)
            self.restore({name: np.asarray(value) for name, value in kept[2].items()})

    again, model = Resumed("mine", 0.0, first.patience, True), small(rng=1)
    history = train(model, Script(*values[3:], name="mine"), again, epochs=len(values[3:]))
    assert history.epochs == (0 if stopped else 1) and again.best == 1 and again.best_epoch == 1
    assert_same_bits(model.state_dict(), script.weights[1])


class Overflow(Callback):
    """A weight becomes infinite after the second step of an epoch: the third loss of it is NaN."""

    def __init__(self, epoch):
        self.epoch, self.step = epoch, 0

    def on_train_begin(self, model, images_in_all):
        self.model = model

    def on_batch_end(self, epoch, images, logs):
        self.step += 1
        if epoch == self.epoch and self.step % 3 == 2:
            self.model.parameters()[0].data = np.full_like(self.model.parameters()[0].data, np.inf)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_terminate_on_nan():
    with pytest.warns(RuntimeWarning, match="TerminateOnNaN: training stops; loss: got nan in epoch 1, step 2"):
        history = train(small(), Overflow(1), TerminateOnNaN(), validation=IMAGES[:5], epochs=9)
    assert history.epochs == 2 and len(history.history["val_loss"]) == 1


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning", "ignore:TerminateOnNaN")
@pytest.mark.parametrize("averages", [[], [EMA(0.9)]])
def test_the_best_weights_outlive_nan(averages):
    stopping, model = EarlyStopping("val_loss", patience=9, restore_best_weights=True), small()
    history = train(model, Overflow(1), TerminateOnNaN(), stopping, *averages, validation=IMAGES[:5], epochs=9)
    assert history.history["val_loss"] == [stopping.best] == [-model.log_prob(IMAGES[:5]).mean()]


def test_a_callback_of_ones_own_may_stop():
    class Enough(Callback):
        def on_batch_end(self, epoch, images, logs):
            self.stop_training = logs["loss"] < 1e9

    assert train(small(), Enough()).epochs == 1


# --- a table --------------------------------------------------------------------------------------------------------


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_log_has_the_bits_of_the_history(tmp_path):
    path = tmp_path / "new" / "log.csv"
    history = train(small(), CSVLogger(path), validation=IMAGES[:10]).history
    rows = table(path)
    assert list(rows[0]) == ["epoch", *history] and [row["epoch"] for row in rows] == ["1", "2", "3"]
    for name, values in history.items():
        assert [float(row[name]) for row in rows] == values
    assert len(set(history["loss"])) == 3


def test_the_log_is_written_after_each_epoch(tmp_path):
    seen = []

    class Reader(Callback):
        def on_evaluation_end(self):
            seen.append(len(table(tmp_path / "log.csv")))

    train(small(), CSVLogger(tmp_path / "log.csv"), Reader())
    assert seen == [1, 2, 3] and [file.name for file in tmp_path.iterdir()] == ["log.csv"]


def test_what_an_epoch_does_not_report_is_an_empty_cell(tmp_path):
    log = CSVLogger(tmp_path / "log.csv")
    log.on_train_begin(small(), 100)
    log.on_epoch_end(0, {"loss": 2.0, "val_loss": 3.0})
    log.on_epoch_end(1, {"loss": 1.0, "mine": np.float32(0.1)})
    assert (tmp_path / "log.csv").read_text() == "epoch,loss,val_loss,mine\n1,2.0,3.0,\n2,1.0,,0.1\n"


def test_append_keeps_what_is_there(tmp_path):
    path = tmp_path / "log.csv"
    train(small(), CSVLogger(path, append=True))
    before = path.read_text()
    train(small(), CSVLogger(path, append=True), validation=IMAGES[:5], epochs=2)
    rows = table(path)
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "1", "2"]
    assert [bool(row["val_loss"]) for row in rows] == [False] * 3 + [True] * 2
    assert [line.split(",")[:3] for line in path.read_text().splitlines()[:4]] == [
        line.split(",")[:3] for line in before.splitlines()
    ]
    train(small(), CSVLogger(path), epochs=1)
    assert len(table(path)) == 1


@pytest.mark.parametrize("append", [False, True])
def test_a_resumed_log_has_no_row_twice(tmp_path, append):
    """The file has three epochs; training goes on from the checkpoint after the first, or after all but a few steps."""
    path, states, told = tmp_path / "log.csv", [], []
    path.write_text("epoch,loss\n1,9.5\n2,8.5\n")

    class Checkpoint(Callback):
        def on_epoch_end(self, epoch, logs):
            told.append(dict(logs))

        def on_evaluation_end(self):
            states.append({name: np.asarray(value) for name, value in log.state().items()})

    log = CSVLogger(path, append=append)
    train(small(), log, Checkpoint())
    whole = path.read_bytes()
    assert len(table(path)) == 3 + 2 * append
    for state, rows, epochs in [(states[0], 1, [1, 2]), (states[1], 2, [1, 2]), (states[2], 3, [2])]:
        again = CSVLogger(path, append=append)
        again.on_train_begin(small(), 150)
        again.restore(state)
        assert len(table(path)) == rows + 2 * append
        for epoch in epochs:
            again.on_epoch_end(epoch, told[epoch])
        assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe", "got no table"),
        (b"loss\n1\n", "got a table without epochs, expected one by CSVLogger"),
        (b"epoch,loss\n1\n", "got no table of numbers"),
        (b"epoch,loss\n1,2,3\n", "got no table of numbers"),
        (b"epoch,loss\none,2\n", "got no table of numbers .*'one'"),
        (b"epoch,loss\n1,two\n", "got no table of numbers .*'two'"),
        (b'epoch,loss\n1,"2\n', "got no table"),
        (b"\0\n2\n", "log.csv: got"),
    ],
)
def test_a_table_of_another_kind_is_kept_as_it_is(tmp_path, content, said):
    path = tmp_path / "log.csv"
    path.write_bytes(content)
    with pytest.raises(mp.FormatError, match=said) as error:
        train(small(), CSVLogger(path, append=True))
    assert "\n" not in str(error.value) and path.read_bytes() == content


def test_a_full_disk_costs_no_row(tmp_path, monkeypatch):
    """It fails after the second epoch: a warning, training goes on, and the file has all rows after the third."""
    path, write = tmp_path / "log.csv", mp.files.write_atomically

    def full(path, content):
        if content.count("\n") == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return write(path, content)

    monkeypatch.setattr("minipixel.training.callbacks.csv_logger.write_atomically", full)
    with pytest.warns(RuntimeWarning) as said:
        model = small()
        train(model, CSVLogger(path))
    assert [str(warning.message) for warning in said] == [
        f"CSVLogger: {path}: No space left on device; training goes on, the rows wait for the next epoch"
    ]
    assert len(table(path)) == 3
    other = small()
    train(other)
    assert_same_bits(model.state_dict(), other.state_dict())


# --- pictures -------------------------------------------------------------------------------------------------------


def test_sample_images(tmp_path, monkeypatch):
    """Of the averaged weights, if there are any; as many as asked for; and no step is another one for it."""
    model, seen, grids = small(), [], []

    class Draw(Callback):
        def on_epoch_end(self, epoch, logs):
            seen.append(model.sample(12, rng=3))

    image_grid = mp.plots.image_grid
    spy = lambda images, *options, **more: grids.append(images) or image_grid(images, *options, **more)  # noqa: E731
    monkeypatch.setattr(mp.plots, "image_grid", spy)
    train(model, SampleImages(tmp_path / "new" / "samples", every=2, n=12, rng=3), Draw(), EMA(0.9), epochs=5)
    assert sorted(file.name for file in (tmp_path / "new" / "samples").iterdir()) == [
        "epoch-0002.png",
        "epoch-0004.png",
    ]
    np.testing.assert_array_equal(grids, [seen[1], seen[3]])
    assert (seen[1] != seen[3]).any()
    picture = matplotlib.image.imread(tmp_path / "new" / "samples" / "epoch-0004.png")
    assert picture.ndim == 3 and len(np.unique(picture.reshape(-1, picture.shape[2]), axis=0)) > 4
    without = small()
    train(without, EMA(0.9), epochs=5)
    assert_same_bits(model.state_dict(), without.state_dict())


def test_samples_of_classes_and_of_vectors(tmp_path, monkeypatch):
    asked = []
    sample = mp.models.PixelCNN.sample
    monkeypatch.setattr(
        mp.models.PixelCNN, "sample", lambda self, n, c, **k: asked.append(c) or sample(self, n, c, **k)
    )
    train(small(num_classes=3), SampleImages(tmp_path, n=7), condition=np.arange(50) % 3, epochs=1)
    train(small(num_classes=3), SampleImages(tmp_path, n=2, condition=[2, 2]), condition=np.arange(50) % 3, epochs=1)
    vectors = np.random.default_rng(0).standard_normal((50, 2))
    train(small(condition_shape=(2,)), SampleImages(tmp_path, n=4, condition=vectors[:4]), condition=vectors, epochs=1)
    np.testing.assert_array_equal(asked[0], [0, 1, 2, 0, 1, 2, 0])
    np.testing.assert_array_equal(asked[1], [2, 2])
    np.testing.assert_array_equal(asked[2], vectors[:4])


def test_a_full_disk_costs_that_picture(tmp_path, monkeypatch):
    def full(path, content):
        if content:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return write(path, content)

    write = mp.files.write_atomically
    monkeypatch.setattr("minipixel.training.callbacks.sample_images.write_atomically", full)
    with pytest.warns(RuntimeWarning, match="SampleImages: .*-0001.png: No space left on device; training goes on"):
        assert train(small(), SampleImages(tmp_path, n=1), epochs=1).epochs == 1


# --- TensorBoard ----------------------------------------------------------------------------------------------------


def events(path):
    """The events of a file, each checked against its two CRCs: length, CRC, bytes, CRC."""
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import masked_crc32c

    content, found = path.read_bytes(), []
    while content:
        (length,), (crc,) = struct.unpack("<Q", content[:8]), struct.unpack("<I", content[8:12])
        data, (data_crc,) = content[12 : 12 + length], struct.unpack("<I", content[12 + length : 16 + length])
        assert crc == masked_crc32c(content[:8]) and data_crc == masked_crc32c(data)
        found.append(Event.FromString(data))
        content = content[16 + length :]
    return found


def scalars(found):
    values = {}
    for event in found:
        for value in event.summary.value:
            if value.HasField("simple_value"):
                values.setdefault(value.tag, []).append((event.step, value.simple_value))
    return values


def test_tensorboard_is_read_back(tmp_path):
    model, seen = small(), []

    class Draw(Callback):
        def on_epoch_end(self, epoch, logs):
            seen.append(mp.plots.mosaic(model.sample(12, rng=3), 4))

    board = TensorBoard(tmp_path / "new" / "board", update_freq=2, every=2, n=12, rng=3)
    history = train(model, board, Draw(), validation=IMAGES[:10], epochs=4).history
    (path,) = (tmp_path / "new" / "board").iterdir()
    assert path.name.startswith("events.out.tfevents.")
    found = events(path)
    assert found[0].file_version == "brain.Event:2"
    values = scalars(found)
    for name, numbers in history.items():
        assert [step for step, _ in values[name]] == [3, 6, 9, 12]
        np.testing.assert_array_equal([value for _, value in values[name]], np.float32(numbers))
    assert [step for step, _ in values["batch_loss"]] == [2, 4, 6, 8, 10, 12] and "batch_bits_per_dim" in values
    assert values["batch_loss"][2][1] == values["loss"][1][1]  # the sixth step ends the second epoch
    pictures = [(e.step, v.image) for e in found for v in e.summary.value if v.tag == "samples"]
    assert [step for step, _ in pictures] == [6, 12]
    for (_, image), grid in zip(pictures, (seen[1], seen[3]), strict=True):
        (tmp_path / "image.png").write_bytes(image.encoded_image_string)
        pixels = matplotlib.image.imread(tmp_path / "image.png")
        assert (image.height, image.width) == grid.shape[:2]
        np.testing.assert_allclose(pixels[..., :3], grid, atol=0.5 / 255 + 1e-6)


def test_tensorboard_by_default_is_once_an_epoch(tmp_path):
    train(small(num_classes=2), TensorBoard(tmp_path, every=None), condition=np.arange(50) % 2)
    (path,) = tmp_path.iterdir()
    assert set(scalars(events(path))) == {"loss", "bits_per_dim", "gradient_norm", "learning_rate", "seconds"}
    train(small(), TensorBoard(tmp_path), epochs=1)
    assert len(list(tmp_path.iterdir())) == 2  # two trainings in one second, and none overwrites the other


def test_a_resumed_board_drops_what_came_after_the_checkpoint(tmp_path):
    from tensorboardX.proto.event_pb2 import SessionLog

    states = []

    class Checkpoint(Callback):
        def on_epoch_end(self, epoch, logs):
            states.append(board.state())

    board = TensorBoard(tmp_path / "one", every=None)
    train(small(), board, Checkpoint())
    again = TensorBoard(tmp_path / "two", every=None)
    again.on_train_begin(small(), 150)
    again.restore({name: np.asarray(value) for name, value in states[1].items()})
    for _ in range(3):
        again.on_batch_end(2, 24, {"loss": 1.0})
    again.on_epoch_end(2, {"loss": 1.0})
    again.on_train_end()
    (path,) = (tmp_path / "two").iterdir()
    _, start, loss = events(path)
    assert (start.step, start.session_log.status) == (7, SessionLog.START)  # steps 7, 8, 9 are taken anew
    assert loss.step == 9


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here to write to")
def test_a_full_disk_is_heard_and_training_ends_well(tmp_path):
    """Where tensorboardX's own writer would hang: its thread dies, and nobody empties the queue to it."""

    class Full(Callback):
        def on_train_begin(self, model, images_in_all):
            descriptor = board._file._writer.fileno()
            with Path("/dev/full").open("wb") as full:
                os.dup2(full.fileno(), descriptor)

    board = TensorBoard(tmp_path, every=None)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert train(small(), board, Full(), epochs=2).epochs == 2
    messages = [str(warning.message) for warning in said if warning.category is RuntimeWarning]
    assert messages and all(m.startswith("TensorBoard: No space left on device; training goes on") for m in messages)


def test_tensorboard_that_is_not_installed(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r'^TensorBoard: tensorboardX is missing; pip install "minipixel\[tensorb'):
        TensorBoard(tmp_path)


# --- mistakes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda here: EarlyStopping(patience=-1), "patience: got -1, wanted a whole number in 0.."),
        (lambda here: EarlyStopping(patience=1.5), "patience: got 1.5"),
        (lambda here: EarlyStopping(min_delta=-1), "min_delta: got -1, wanted a number of at least 0"),
        (lambda here: EarlyStopping(min_delta=float("nan")), "min_delta: got nan"),
        (lambda here: EarlyStopping(restore_best_weights=1), "restore_best_weights: got 1"),
        (
            lambda here: train(small(), EarlyStopping("val_los"), validation=IMAGES),
            "monitor: got 'val_los', wanted one of loss, bits_per_dim, gradient_norm, val_loss, val_bits_per_dim, le",
        ),
        (
            lambda here: train(small(), EarlyStopping()),
            "monitor: got 'val_loss', wanted one of loss, bits_per_dim, gradient_norm, learning_rate, seconds; val_ ",
        ),
        (lambda here: SampleImages(here, every=0), "every: got 0"),
        (lambda here: SampleImages(here, n=0), "n: got 0"),
        (lambda here: SampleImages(here, every=None), "every: got None"),
        (lambda here: train(small(), SampleImages(here, condition=[1])), "condition: got one, wanted None"),
        (lambda here: TensorBoard(here, update_freq="step"), "update_freq: got 'step', wanted 'epoch', 'batch'"),
        (lambda here: TensorBoard(here, update_freq=0), "update_freq: got 0"),
        (lambda here: TensorBoard(here, update_freq=None), "update_freq: got None"),
        (lambda here: TensorBoard(here, every=0), "every: got 0"),
        (lambda here: CSVLogger(here, append="yes"), "append: got 'yes'"),
    ],
)
def test_bad_settings(make, said, tmp_path):
    with pytest.raises(ValueError) as error:
        make(tmp_path)
    assert str(error.value).startswith(said) and "\n" not in str(error.value)


@pytest.mark.parametrize("make", [lambda p: CSVLogger(p / "log.csv"), SampleImages, TensorBoard])
def test_a_folder_that_cannot_be_made_is_said_before_the_first_step(make, tmp_path):
    (tmp_path / "junk").write_bytes(b"junk")
    model = small()
    before = model.state_dict()
    with pytest.raises(OSError, match="junk"):
        train(model, make(tmp_path / "junk" / "folder"))
    assert_same_bits(model.state_dict(), before)
