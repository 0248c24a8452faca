"""The embedding network: the paper's loss, points of length 1, classes that come apart, and files to the bit."""

import itertools
import os
import signal

import numpy as np
import pytest

import minipixel as mp
from minipixel import checkpoint
from minipixel.optim import Adam
from minipixel.tensor import gradients

DS = mp.datasets.load("digits")
IMAGES, LABELS = DS.train.images[:60], DS.train.labels[:60]


def small(**options):
    return mp.models.EmbeddingNet(DS.image_shape, DS.levels, **{"dimensions": 5, "filters": 4} | options)


def train(net, **options):
    return mp.fit_embedding(net, DS.train.images, DS.train.labels, **{"steps": 3, "progress": False} | options)


def assert_same_bits(a, b):
    for name, weight in a.state_dict().items():
        np.testing.assert_array_equal(weight, b.state_dict()[name], err_msg=name)


# --- the loss and its gradient --------------------------------------------------------------------------------------


@pytest.mark.parametrize("margin", [0.05, 0.2, 3.0])
def test_the_loss_equals_a_loop_over_triplets(margin):
    """Equation 3 of 1503.03832, a triplet at a time."""
    net = small(dtype="float64")
    f = net.embed(IMAGES)
    terms = []
    for a, p, n in itertools.product(range(60), repeat=3):
        if a != p and LABELS[a] == LABELS[p] and LABELS[a] != LABELS[n]:
            terms.append(max(0.0, sum((f[a] - f[p]) ** 2) - sum((f[a] - f[n]) ** 2) + margin))
    assert 0 < np.count_nonzero(terms) <= len(terms)
    assert float(net.loss(IMAGES, LABELS, margin=margin).data) == pytest.approx(np.mean(terms), rel=1e-12)


@pytest.mark.parametrize("shape", [(8, 8, 1), (5, 7, 3)])
def test_the_gradient_of_the_whole_loss(shape):
    net = mp.models.EmbeddingNet(shape, 17, dimensions=3, filters=3, dtype="float64")
    images = np.random.default_rng(0).integers(0, 17, (12, *shape))
    assert mp.gradcheck_model(net, images, np.arange(12) % 3) < 1e-10


def test_a_step_is_the_gradient_of_the_loss(monkeypatch):
    """Whatever the cut into shards: one step equals the step of a loop of one's own over the same batch."""
    monkeypatch.setattr(mp.models.EmbeddingNet, "shard_size", 7)
    by_fit, by_hand = small(dtype="float64"), small(dtype="float64")
    every = {"classes_per_batch": 10, "images_per_class": 60}  # all there is, in some order
    mp.fit_embedding(by_fit, IMAGES, LABELS, steps=1, progress=False, **every)
    by_hand.loss(IMAGES, LABELS).backward()
    Adam().step(by_hand)
    for name, weight in by_hand.state_dict().items():
        np.testing.assert_allclose(by_fit.state_dict()[name], weight, rtol=1e-7, atol=1e-12, err_msg=name)


def test_a_row_of_zeros_does_no_harm():
    x = mp.Tensor(np.array([[3.0, 4.0], [0.0, 0.0]]))
    y = mp.ops.unit(x)
    np.testing.assert_allclose(y.data, [[0.6, 0.8], [0.0, 0.0]], rtol=1e-15, atol=0)
    (gradient,) = gradients(y, [x], np.ones((2, 2)))
    assert np.isfinite(gradient).all() and (gradient[1] == 0).all()


# --- embeddings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_length_one_and_repeatable(dtype):
    net = small(dtype=dtype)
    f = net.embed(IMAGES)
    assert f.shape == (60, 5) and f.dtype == dtype
    np.testing.assert_allclose(np.linalg.norm(f, axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(f, net.embed(IMAGES))
    np.testing.assert_allclose(f, net.points(IMAGES).data, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 1), (9, 5, 3)])
def test_any_image_size(shape):
    net = mp.models.EmbeddingNet(shape, 4, filters=2, layers=4)
    assert net.embed(np.ones((3, *shape), np.uint8)).shape == (3, 16)
    last = net.summary().splitlines()[-1].split()
    assert last == ["total", *[f"{net.num_parameters:,}"] * 2]


def test_it_learns_to_tell_digits_apart():
    """On images it never saw: neighbours of one class, and classes further apart than the digits of one."""
    test, labels = DS.test.images, DS.test.labels
    untrained = mp.models.EmbeddingNet(DS.image_shape, DS.levels, filters=16)
    net = mp.models.EmbeddingNet(DS.image_shape, DS.levels, filters=16)
    history = train(net, steps=80, optimizer=Adam(3e-3))
    losses = history.history["loss"]
    assert len(losses) == 80 and np.mean(losses[-10:]) < np.mean(losses[:3]) / 10
    near_before, ratio_before = told_apart(untrained.embed(test), labels)
    near, ratio = told_apart(net.embed(test), labels)
    assert near > 0.95 and near > near_before
    assert ratio < 0.3 < ratio_before


def told_apart(f, labels):
    """Leave-one-out accuracy of the nearest neighbour; mean squared distance in a class over that between classes."""
    distances = ((f[:, None] - f) ** 2).sum(axis=-1)
    same, itself = labels[:, None] == labels, np.eye(len(f), dtype=bool)
    nearest = np.where(itself, np.inf, distances).argmin(axis=1)
    return np.mean(labels[nearest] == labels), distances[same & ~itself].mean() / distances[~same].mean()


def test_a_model_told_embeddings():
    net = small()
    h = net.embed(IMAGES)
    model = mp.models.PixelCNN(DS.image_shape, DS.levels, hidden=4, blocks=1, condition_shape=(5,))
    mp.fit(model, IMAGES, h, epochs=1, progress=False)
    assert model.sample(3, h[:3], rng=0).shape == (3, 8, 8, 1)
    assert (model.log_prob(IMAGES, h) != model.log_prob(IMAGES, h[::-1])).any()


# --- training -------------------------------------------------------------------------------------------------------


def test_the_same_bits_for_any_number_of_workers(monkeypatch):
    monkeypatch.setattr(mp.models.EmbeddingNet, "shard_size", 9)
    nets = [small() for _ in range(3)]
    losses = [train(net, workers=workers, rng=7).history["loss"] for net, workers in zip(nets, (1, 2, 3), strict=True)]
    for net, loss in zip(nets[1:], losses[1:], strict=True):
        assert_same_bits(nets[0], net)
        assert loss == losses[0]


def test_another_rng_is_another_run():
    nets = [small() for _ in range(3)]
    for net, rng in zip(nets, (1, np.random.SeedSequence(1), 2), strict=True):
        train(net, rng=rng)
    assert_same_bits(nets[0], nets[1])
    with pytest.raises(AssertionError):
        assert_same_bits(nets[0], nets[2])
    with pytest.raises(AssertionError):
        assert_same_bits(small(), small(rng=1))


def test_small_classes_give_what_they_have():
    few = np.concatenate([np.flatnonzero(LABELS == 3)[:2], np.flatnonzero(LABELS == 5)[:2]])
    history = mp.fit_embedding(small(), IMAGES[few], LABELS[few], steps=2, progress=False)
    assert np.isfinite(history.history["loss"]).all()


class Interrupter(Adam):
    """An optimiser that presses Ctrl-C at its second step."""

    def step(self, model):
        super().step(model)
        if self.steps == 2:
            os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_finishes_the_step_and_keeps_the_network():
    before, net, same = signal.getsignal(signal.SIGINT), small(), small()
    with pytest.raises(mp.training.Interrupted) as stop:
        train(net, steps=1000, optimizer=Interrupter())
    assert len(stop.value.history.history["loss"]) == 2 and signal.getsignal(signal.SIGINT) is before
    train(same, steps=2, optimizer=Adam())
    assert_same_bits(net, same)


def test_progress_says_how_far_it_is(capsys):
    history = train(small(), progress=True)
    assert "loss " in capsys.readouterr().err
    assert history.plot().axes[0].get_xlabel() == "step"


# --- files and devices ----------------------------------------------------------------------------------------------


def test_saved_and_loaded_to_the_bit(tmp_path):
    net = small(layers=2, dtype="float64")
    train(net)
    net.save(tmp_path / "net")
    again = mp.load(tmp_path / "net")
    assert isinstance(again, mp.models.EmbeddingNet) and again.config == net.config
    assert_same_bits(net, again)
    np.testing.assert_array_equal(net.embed(IMAGES), again.embed(IMAGES))
    assert "embedding" not in mp.models.MODELS


def test_damaged_files(tmp_path):
    path = tmp_path / "net"
    small().save(path)
    content = path.read_bytes()
    for cut in (0, 7, 100, len(content) - 1):
        path.write_bytes(content[:cut])
        with pytest.raises(mp.FormatError, match="expected"):
            mp.load(path)
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(mp.FormatError, match="does not match its own SHA-256"):
        mp.load(path)
    net = small()
    for changes in ({"dimensions": 60_000}, {"filters": -1}, {"hidden": 3}, {"dtype": "float64"}):
        checkpoint.write(path, net.config | changes, net.state_dict())
        with pytest.raises(mp.FormatError) as error:
            mp.load(path)
        assert "\n" not in str(error.value)


# --- what cannot be meant -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"dimensions": 1}, r"dimensions: got 1, wanted a whole number in 2\.\."),
        ({"filters": 0}, "filters: got 0"),
        ({"layers": 0}, r"layers: got 0, wanted a whole number in 1\.\.8"),
        ({"dtype": "float16"}, "dtype: got 'float16'"),
    ],
)
def test_bad_configurations(options, match):
    with pytest.raises(ValueError, match=match):
        small(**options)


ALONE = np.where(np.arange(60) == 0, 77, LABELS)


@pytest.mark.parametrize(
    ("images", "labels", "options", "match"),
    [
        (IMAGES[:, :5], LABELS, {}, r"images: got shape \(60, 5, 8, 1\), wanted \(N, 8, 8, 1\)"),
        (IMAGES / 16, LABELS, {}, "images: got dtype float64, wanted integers"),
        (IMAGES + 9, LABELS, {}, "images: got levels 9"),
        (IMAGES, LABELS[:59], {}, r"labels: got int64 of shape \(59,\), wanted 60 integers, one per image"),
        (IMAGES, LABELS[:, None, None], {}, r"labels: got int64 of shape \(60, 1, 1\)"),
        (IMAGES, LABELS + 0.5, {}, "labels: got float64 of shape"),
        (IMAGES, None, {}, "labels: got None, wanted an array"),
        (IMAGES, LABELS * 0, {}, "labels: got only class 0, wanted two or more; a triplet needs another class"),
        (IMAGES, ALONE, {}, "labels: got one image of class 77, wanted two or more of each; leave it out"),
        (IMAGES, LABELS, {"margin": 0}, "margin: got 0, wanted a number above 0, such as 0.2"),
        (IMAGES, LABELS, {"margin": "wide"}, "margin: got 'wide'"),
        (IMAGES, LABELS, {"steps": 0}, "steps: got 0"),
        (IMAGES, LABELS, {"classes_per_batch": 1}, r"classes_per_batch: got 1, wanted a whole number in 2\.\."),
        (IMAGES, LABELS, {"images_per_class": 1}, "images_per_class: got 1"),
        (IMAGES, LABELS, {"workers": 0}, "workers: got 0, wanted a number of threads"),
    ],
)
def test_bad_arguments_of_training(images, labels, options, match):
    net = small()
    with pytest.raises(ValueError, match=match) as error:
        mp.fit_embedding(net, images, labels, **{"steps": 2, "progress": False} | options)
    assert "\n" not in str(error.value)
    assert_same_bits(net, small())


@pytest.mark.parametrize(
    ("labels", "match"),
    [
        (np.zeros(60, int), "labels: got 60 in which no class has two images beside one of another class"),
        (np.arange(60), "labels: got 60 in which no class has two images"),
        (LABELS[:3], r"labels: got int64 of shape \(3,\)"),
    ],
)
def test_bad_labels_of_a_loss(labels, match):
    with pytest.raises(ValueError, match=match):
        small().loss(IMAGES, labels)
    with pytest.raises(ValueError, match="margin: got -1"):
        small().loss(IMAGES, LABELS, margin=-1)


def test_a_forward_of_ones_own_is_used():
    class Turned(mp.models.EmbeddingNet):
        def forward(self, x):
            return -super().forward(x)

    images = np.random.default_rng(0).integers(0, 2, (3, 6, 6, 1))
    plain, turned = (kind((6, 6, 1), 2, filters=4, layers=2) for kind in (mp.models.EmbeddingNet, Turned))
    np.testing.assert_allclose(turned.embed(images), -plain.embed(images), rtol=1e-5, atol=1e-6)
