"""The training loop: shuffle, cut into batches, cut those into shards, sum gradients in shard order, step.

The result is the same to the bit for any number of workers: the cut into shards depends on the model alone (shards.py),
their gradients are added in order, and random numbers are keyed by what they are for (streams.py).
"""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from minipixel.models import Model
from minipixel.models.base import rows
from minipixel.models.checks import MANY, check_count
from minipixel.optim import Adam, Optimizer
from minipixel.shards import Workers
from minipixel.tensor import gradients
from minipixel.training.callbacks import EMA, Callback, Progress
from minipixel.training.history import History
from minipixel.training.streams import DROPOUT, SHUFFLE, TRANSFORM, Streams

ENOUGH = 128
"""How many images of a first batch initialize a model: it takes them all at once, so more would only cost memory."""

Transform = Callable[[np.ndarray, np.random.Generator], np.ndarray]


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during `fit`: the step at hand was finished, the model is whole; `history` is what was seen so far.

    (After a second Ctrl-C nothing is finished: some weights may be one step ahead of others, which does no harm.)
    """

    def __init__(self, history: History) -> None:
        super().__init__("training was interrupted; the model keeps what it has learnt so far")
        self.history = history


def fit(
    model: Model,
    images: Any,
    condition: Any = None,
    *,
    validation: Any = None,
    epochs: int = 10,
    batch_size: int = 64,
    optimizer: Optimizer | None = None,
    callbacks: Sequence[Callback] = (),
    transform: Transform | None = None,
    rng: Any = 0,
    workers: int | None = None,
    progress: bool = True,
    resume: None = None,
    anomaly: bool = False,
) -> History:
    """Train a model on integer images (N, H, W, C) by maximum likelihood; the History has one entry an epoch.

    `validation`: images, or (images, condition), evaluated after every epoch. `optimizer`: Adam at 1e-3 if None.
    `transform(images, rng)` runs on every batch: dynamic binarisation, augmentation. `rng`: None, int, SeedSequence or
    Generator. `workers`: threads, one a core if None; the result does not depend on it.
    Raises ValueError for arguments that cannot be meant, before anything is changed; Interrupted, a KeyboardInterrupt,
    after Ctrl-C.
    """
    if not isinstance(model, Model):
        raise ValueError(f"fit: got a {type(model).__name__}, wanted a model; an EmbeddingNet learns by fit_embedding")
    if resume is not None or anomaly:
        raise ValueError("fit: got resume= or anomaly=, which this version does not offer yet; leave them out")
    epochs, batch_size = check_count("epochs", epochs, 1, MANY), check_count("batch_size", batch_size, 1, MANY)
    if transform is None:
        images, condition = model.checked(images, condition)
    else:  # the images become ones that the model describes batch by batch
        images = np.asarray(images)
        check_count("number of images", len(images), 1, MANY)
        condition = model.conditions.checked(condition, len(images))
    if validation is not None:
        held_out = validation if isinstance(validation, tuple) else (validation, None)
        model.checked(*held_out)

    optimizer, streams, history = optimizer or Adam(), Streams(rng), History()
    watchers = [*([Progress(epochs)] if progress else []), *callbacks]
    watchers.sort(key=lambda watcher: not isinstance(watcher, EMA))  # first: all others see, save, restore averages
    for watcher in watchers:
        watcher.stop_training = False

    def tell(event: str, *arguments: Any) -> None:
        for watcher in watchers:
            getattr(watcher, event)(*arguments)

    def stopped() -> bool:
        """Whether a callback asks to end after the step at hand."""
        return any(watcher.stop_training for watcher in watchers)

    def batches(epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """The images in a new order, cut into batches, each transformed; and their conditions."""
        order = streams(SHUFFLE, epoch).permutation(len(images))
        for step, start in enumerate(range(0, len(order), batch_size)):
            chosen = order[start : start + batch_size]
            batch = images[chosen]
            if transform is not None:
                batch = transform(batch, streams(TRANSFORM, epoch, step))
            yield batch, rows(condition, chosen)

    def train_epoch(epoch: int) -> dict[str, float]:
        """One pass over the images, or as far as Ctrl-C or a callback lets it come; the means over what was seen."""
        seen, nats = 0, 0.0
        for step, (batch, told) in enumerate(batches(epoch)):
            nats += len(batch) * _step(model, batch, told, optimizer, pool, streams, (epoch, step))
            seen += len(batch)
            logs = {"loss": nats / seen, "bits_per_dim": model.bits(nats / seen)}
            tell("on_batch_end", epoch, len(batch), logs)
            if interrupted() or stopped():
                break
        return logs

    def validate() -> dict[str, float]:
        nats = float(-model.log_prob(*held_out).mean())
        return {"val_loss": nats, "val_bits_per_dim": model.bits(nats)}

    with Workers(workers) as pool, finish_the_step(progress) as interrupted:
        if not model.initialized:
            batch, told = next(batches(0))
            model.initialize(batch[:ENOUGH], rows(told, slice(ENOUGH)))
        tell("on_train_begin", model, epochs * len(images))
        try:
            for epoch in range(epochs):
                if stopped():
                    break
                began = time.perf_counter()
                tell("on_epoch_begin", epoch, optimizer)
                logs = train_epoch(epoch)
                tell("on_evaluation_begin")
                if validation is not None and not (interrupted() or stopped()):
                    logs |= validate()
                logs["learning_rate"] = optimizer.rate
                logs["seconds"] = time.perf_counter() - began
                history.append(logs)
                tell("on_epoch_end", epoch, logs)
                tell("on_evaluation_end")
                if interrupted():
                    raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise Interrupted(history) from None
        finally:
            tell("on_train_end")
    return history


def _step(
    model: Model,
    batch: np.ndarray,
    condition: np.ndarray | None,
    optimizer: Optimizer,
    pool: Workers,
    streams: Streams,
    key: tuple[int, int],
) -> float:
    """One optimiser step on the mean loss of a batch; returns that loss, in nats an image."""
    parameters = model.parameters()

    def shard(part: slice) -> tuple[float, list[Any]]:
        share = len(batch[part]) / len(batch)
        loss = model.loss(batch[part], rows(condition, part), rng=streams(DROPOUT, *key, part.start))
        return float(loss.data) * share, gradients(loss, parameters, seed=share)

    total, summed = 0.0, None
    for loss, found in pool.map(shard, len(batch), model.shard_size):
        total += loss
        summed = found if summed is None else [a + b for a, b in zip(summed, found, strict=True)]
    for parameter, gradient in zip(parameters, summed or (), strict=True):
        parameter.grad = gradient
    optimizer.step(model)
    return total


@contextmanager
def finish_the_step(say_so: bool) -> Iterator[Callable[[], bool]]:
    """Within this block a first Ctrl-C only makes the yielded function true; a second one interrupts at once.

    Only the main thread may do this; in another, Ctrl-C is not ours.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return

    def on_interrupt(number: int, frame: Any) -> None:
        asked.set()
        if say_so:
            print("\nCtrl-C: finishing the step; once more to stop at once", file=sys.stderr)
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, before)
