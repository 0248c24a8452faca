"""A share of the training images to validate on: drawn by `rng`, never learnt from, the same when training goes on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minipixel as mp
from minipixel.training.arguments import held_out

IMAGES = np.random.default_rng(0).permutation(2**12)[:40, None] >> np.arange(12) & 1  # no two of them are alike
IMAGES = IMAGES.reshape(40, 4, 3, 1).astype(np.uint8)
LABELS = np.arange(40) % 3


class Seen:
    """A transform that notes what it was given."""

    def __init__(self, change=False):
        self.batches, self.change = [], change

    def __call__(self, images, rng):
        self.batches.append(images)
        return images ^ rng.integers(2, size=images.shape, dtype=np.uint8) if self.change else images


def model(**options):
    return mp.models.PixelCNN((4, 3, 1), 2, hidden=3, blocks=1, num_classes=3, **options)


def train(net, **options):
    options = {"epochs": 3, "batch_size": 8, "validation": 0.25, "progress": False} | options
    return mp.fit(net, IMAGES, LABELS, **options).history


def rows(images):
    return {image.tobytes() for image in images}


@given(st.integers(2, 200), st.floats(0, 1, exclude_min=True, exclude_max=True), st.integers(0, 5))
def test_each_image_is_on_one_side(N, share, seed):
    learned, kept = held_out(N, share, np.random.default_rng(seed))
    assert sorted([*learned, *kept]) == list(range(N)) and len(learned) and len(kept)
    assert (np.diff(learned) > 0).all() and (np.diff(kept) > 0).all()
    assert abs(len(kept) - share * N) <= 1


def test_what_is_held_out_is_not_learnt_from():
    seen, net = Seen(), model()
    history = train(net, transform=seen)
    first, *batches = seen.batches  # the held-out ones are transformed once, before all others
    learnt = rows(np.concatenate(batches))
    assert len(first) == 10 and len(learnt) == 30 and not rows(first) & learnt
    assert rows(first) | learnt == rows(IMAGES)
    kept = np.array([np.flatnonzero((image == IMAGES).all(axis=(1, 2, 3)))[0] for image in first])
    assert history["val_loss"][-1] == pytest.approx(-net.log_prob(IMAGES[kept], LABELS[kept]).mean(), rel=1e-12)


def test_with_a_transform_the_same_images_are_validated_on_after_every_epoch():
    seen, net = Seen(change=True), model()
    history = train(net, transform=seen, optimizer=mp.optim.SGD(1e-30))
    assert len(set(history["val_loss"])) == 1 and len(set(history["loss"])) == 3


def test_rng_draws_them():
    losses = [train(model(), rng=rng)["val_loss"] for rng in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]


def test_a_share_is_the_same_to_the_bit_as_a_split_by_hand():
    learned, kept = held_out(40, 0.25, mp.training.streams.Streams(0)(mp.training.streams.VALIDATION))
    one, other = model(), model()
    history = train(one)
    by_hand = mp.fit(
        other,
        IMAGES[learned],
        LABELS[learned],
        validation=(IMAGES[kept], LABELS[kept]),
        epochs=3,
        batch_size=8,
        progress=False,
    ).history
    assert {**history, "seconds": 0} == {**by_hand, "seconds": 0}
    for name, weight in one.state_dict().items():
        np.testing.assert_array_equal(weight, other.state_dict()[name])


@pytest.mark.parametrize("rng", [0, None])
@pytest.mark.parametrize("transform", [False, True])
def test_the_same_when_training_is_resumed(tmp_path, rng, transform):
    whole, parts = model(), model()
    options = {"transform": Seen(change=True) if transform else None}
    first = train(parts, epochs=1, rng=rng, callbacks=mp.callbacks.ModelCheckpoint(tmp_path / "a"), **options)
    root = mp.training.checkpoints.find(tmp_path / "a").seed  # what rng=None took
    history = train(parts, rng=rng, resume=tmp_path / "a", **options)
    wanted = train(whole, rng=root, **options)
    assert {**history, "seconds": 0} == {**wanted, "seconds": 0} and history["val_loss"][:1] == first["val_loss"]
    for name, weight in whole.state_dict().items():
        np.testing.assert_array_equal(weight, parts.state_dict()[name])


@pytest.mark.parametrize("validation", [0.5, None, (IMAGES, LABELS)])
def test_another_share_is_another_training(tmp_path, validation):
    train(model(), epochs=1, callbacks=mp.callbacks.ModelCheckpoint(tmp_path))
    got = validation if isinstance(validation, float) else None
    with pytest.raises(ValueError, match=rf"resume: got validation_share {got}, wanted 0\.25, as in .*; give the same"):
        train(model(), resume=tmp_path, validation=validation)


def test_images_to_validate_on_may_be_others_when_training_is_resumed(tmp_path):
    train(model(), epochs=1, callbacks=mp.callbacks.ModelCheckpoint(tmp_path), validation=(IMAGES, LABELS))
    assert len(train(model(), resume=tmp_path, validation=[IMAGES[:5], LABELS[:5]])["val_loss"]) == 3
