"""The training loop: shuffle, cut into batches, cut those into shards, sum their gradients along a tree, step.

The result is the same to the bit for any number of workers: the cut into shards, and the tree along which their
gradients are added, depend on the batch and the model alone (shards.py, models/step.py), and random numbers are keyed
by what they are for (streams.py). It is the same, too, however often training was stopped and resumed: what the next
step depends on is in a Training (training.py).
"""

import functools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minipixel import console
from minipixel.draws import Draws
from minipixel.files import alone_with
from minipixel.models import Model
from minipixel.models.checks import MANY, as_images, check_count, check_flag, check_weights
from minipixel.models.network import MOST_NUMBERS
from minipixel.models.step import Batch, shard_losses, value_and_gradients
from minipixel.optim import Optimizer
from minipixel.progress import quiet
from minipixel.shards import Workers, rows
from minipixel.spelling import spelled
from minipixel.training.anomaly import StepError, first_op, report, take_step
from minipixel.training.arguments import (
    Transform,
    check_callbacks,
    check_model,
    check_one_each,
    check_optimizer,
    check_share,
    check_transform,
    check_validation,
    held_out,
)
from minipixel.training.callbacks import EMA, Callback, Progress
from minipixel.training.checkpoints import Position, find, written
from minipixel.training.chosen import Chosen
from minipixel.training.history import History
from minipixel.training.interrupt import Interrupted, finish_the_step
from minipixel.training.own_numbers import check_numbers
from minipixel.training.streams import DROPOUT, SHUFFLE, TRANSFORM, VALIDATION, Streams
from minipixel.training.trainable import check_trainable, others_frozen
from minipixel.training.training import Training

ENOUGH = 128
"""How many images of a first batch initialize a model: it takes them all at once, so more would only cost memory."""


@spelled
def fit(
    model: Model,
    images: Any,
    condition: Any = None,
    *,
    validation: Any = None,
    epochs: int = 10,
    batch_size: int = 64,
    optimizer: Optimizer | str | None = None,
    callbacks: Sequence[Callback] | Callback | None = (),
    transform: Transform | None = None,
    sample_weight: Any = None,
    trainable: Any = None,
    rng: Any = 0,
    workers: int | None = None,
    progress: bool = True,
    resume: str | os.PathLike[str] | None = None,
    anomaly: bool = False,
) -> History:
    """Train a model on integer images (N, H, W, C) by maximum likelihood; the History has one entry per epoch.

    `validation`: images, or (images, condition), evaluated after every epoch; or a share of the training images, 0.1
    say, which `rng` draws, and `transform` changes once. `optimizer`: one of mp.optim, or its name; Adam at 1e-3 if
    None. `callbacks`: a list, or a single one. `transform(images, rng)` runs on every batch: dynamic binarisation,
    augmentation. `rng`: None, int, SeedSequence or Generator. `workers`: threads, one a core if None; the result does
    not depend on it.

    `sample_weight`: numbers (N,), what each image counts in the gradient; 0 and less are allowed. History and monitors
    count all images alike. `trainable`: names of weights, beginnings of such names, or layers. All other weights stay
    as they are, to the bit, and so does what the optimizer remembers of them; afterwards all are trainable as before.

    `resume`: a checkpoint file of callbacks.ModelCheckpoint, or its folder, of which the newest intact one counts; go
    on from there, to the same bits as if training had never stopped. From a folder with none, training starts at the
    beginning, so that a command with ModelCheckpoint(folder) and resume=folder may be run again whenever it was killed.
    All arguments but `epochs`, `validation`, `workers` and `callbacks` have to be the same, and `validation`, too, if
    it is a share; rng=None takes the stored one. Of `transform` only whether there is one can be checked. Seconds are
    those of all runs together.

    Raises ValueError for arguments that cannot be meant, or are not those of the checkpoint, before anything is
    changed; BlockingIOError where another training writes what a callback of this one would write; FormatError for a
    broken checkpoint; Interrupted, a KeyboardInterrupt, after Ctrl-C; NonFiniteError where a loss or a gradient is NaN
    or infinite, before that step is taken: with `anomaly` it names the op that began it.
    """
    check_model("fit", model, Model)
    epochs, batch_size = check_count("epochs", epochs, 1, MANY), check_count("batch_size", batch_size, 1, MANY)
    check_flag("anomaly", anomaly)
    optimizer, watchers, transform = check_optimizer(optimizer), check_callbacks(callbacks), check_transform(transform)
    check_one_each(model, condition)
    if transform is None:
        images, condition = model.checked(images, condition)
    else:  # the images become ones that the model describes batch by batch
        images = as_images(images)
        check_count("number of images", len(images) if images.ndim else 0, 1, MANY)
        condition = model.conditions.checked(condition, len(images))
    sample_weight = check_weights("sample_weight", sample_weight, len(images), model.dtype)
    others_are_frozen = functools.partial(others_frozen, model, check_trainable(model, trainable))

    workers_pool, before = Workers(workers), written(resume)
    saved = None if resume is None else find(resume)
    streams = Streams(saved.seed if saved and rng is None else rng)
    share = check_share(validation, len(images))
    if share is not None:
        learned, kept = held_out(len(images), share, streams(VALIDATION))
        shown = images[kept] if transform is None else transform(images[kept], streams(VALIDATION, 1))
        validation = shown, rows(condition, kept)
        images, sample_weight = Chosen(images, learned), rows(sample_weight, learned)
        condition = rows(condition, learned)
    if validation is not None:
        validation = check_validation(model, validation)
    watchers = [*([Progress(epochs)] if progress else []), *watchers]
    watchers.sort(key=lambda watcher: not isinstance(watcher, EMA))  # first: all others see, save, restore averages
    settings = {"batch_size": batch_size, "rng": streams.root, "transform": transform is not None}
    settings |= {} if share is None else {"validation_share": share}
    beside = {"condition": condition, "sample_weight": sample_weight}
    training = Training(model, optimizer, watchers, images, beside, settings)
    if saved:
        with others_are_frozen():
            training.check(saved, epochs)
    history = training.history

    def tell(event: str, *arguments: Any) -> None:
        for watcher in watchers:
            getattr(watcher, event)(*arguments)

    def tell_numbers(event: str, at: Position, *arguments: Any) -> None:
        """Tell those that may add numbers to the logs, the last argument, before those that write and watch them."""
        reported = dict(arguments[-1])
        for watcher in sorted(watchers, key=lambda watcher: watcher.reads_numbers):
            getattr(watcher, event)(at.epoch, *arguments)
            check_numbers(arguments[-1], reported, watcher)

    def stopped() -> bool:
        """Whether a callback asks to end after the step at hand."""
        return any(watcher.stop_training for watcher in watchers)

    def batches(epoch: int, first: int = 0) -> Iterator[tuple[np.ndarray, Batch]]:
        """The images in a new order, cut into batches: the places of each, and the batch, its images transformed."""
        order = streams(SHUFFLE, epoch).permutation(len(images))
        for step in range(first, training.steps_an_epoch):
            chosen = order[step * batch_size : (step + 1) * batch_size]
            batch = images[chosen]
            if transform is not None:
                batch = transform(batch, streams(TRANSFORM, epoch, step))
            draws = _draws(streams, (epoch, step))
            yield chosen, Batch(batch, rows(condition, chosen), rows(sample_weight, chosen), draws)

    def train_epoch(at: Position) -> bool:
        """The steps of an epoch that are left; False if a callback, or Ctrl-C, or a bad number has cut it short."""
        began = time.perf_counter() - at.seconds
        for chosen, batch in batches(at.epoch, at.step):
            try:
                loss, norm = _step(model, batch, optimizer, pool)
            except StepError as what:
                parts = pool.parts(len(chosen), model.shard_of_batch(len(chosen)))
                again = functools.partial(map, lambda part, batch=batch: shard_losses(model, batch, part)[0], parts)
                error = report(what, (at.epoch, at.step), chosen, first_op(model, again) if anomaly else None)
                error.history = history
                tell("on_not_finite", error)
                if not stopped():
                    raise error from None
                return False
            at.advance(len(chosen), loss, norm)
            at.seconds = time.perf_counter() - began
            tell_numbers("on_batch_end", at, len(chosen), training.logs())
            stop = interrupted() or stopped()
            tell("on_pause", training, stop)
            if stop:
                return False
        return True

    def end_epoch(at: Position) -> None:
        """Validate, and tell what came of it."""
        began, logs = time.perf_counter() - at.seconds, training.logs()
        tell("on_evaluation_begin")
        if validation is not None:
            nats = float(-model.log_prob(*validation).mean())
            logs |= {"val_loss": nats, "val_bits_per_dim": model.bits(nats)}
        logs |= {"learning_rate": optimizer.rate, "seconds": time.perf_counter() - began}
        history.append(logs)
        tell_numbers("on_epoch_end", at, logs)
        history.revise(logs)
        tell("on_evaluation_end")

    claims = [claim for watcher in watchers for claim in watcher.claims()]
    with (
        alone_with(claims),
        others_are_frozen(),
        quiet(),
        workers_pool as pool,
        finish_the_step(progress) as interrupted,
    ):
        if written(resume) != before:
            raise BlockingIOError(f"resume: {resume} was written by another training just now; run this once more")
        if saved:
            training.restore_model(saved)
        elif not model.initialized:
            _, first = next(batches(0))
            enough = min(ENOUGH, model.most_images(4 * MOST_NUMBERS))
            model.initialize(first.images[:enough], rows(first.condition, slice(enough)))
        if progress and resume is not None:
            print(f"resume: {saved or f'nothing in {resume} yet, starting at the beginning'}", file=console.stderr)
        at = training.position
        for watcher in watchers:
            watcher.stop_training = False
        tell("on_train_begin", model, (epochs - at.epoch) * len(images) - at.seen)
        try:
            if saved:
                training.restore_callbacks(saved)
            while at.epoch < epochs and not stopped():
                if at.step == 0:
                    tell("on_epoch_begin", at.epoch, optimizer)
                if not train_epoch(at):
                    if at.seen:
                        history.append(training.logs() | {"learning_rate": optimizer.rate, "seconds": at.seconds})
                    if interrupted():
                        raise KeyboardInterrupt
                    break
                end_epoch(at)
                at = training.position = Position(at.epoch + 1)
                enough = interrupted()
                tell("on_pause", training, enough or stopped() or at.epoch == epochs)
                if enough:
                    raise KeyboardInterrupt
        except KeyboardInterrupt:
            stop = Interrupted(history, training.saved)
            if progress:
                print(stop, file=console.stderr)
            raise stop from None
        finally:
            tell("on_train_end")
    return history


def _draws(streams: Streams, key: tuple[int, int]) -> Callable[[slice], Draws]:
    """What each shard of the batch of (epoch, step) = key draws its dropout from: what is kept is the batch's."""
    of_step = Draws.of(streams(DROPOUT, *key)).key
    return lambda part: Draws(of_step, part.start)


def _step(model: Model, batch: Batch, optimizer: Optimizer, pool: Workers) -> tuple[float, float]:
    """One optimiser step on the weighted loss of a batch; the plain one, in nats per image, and the gradient's norm."""
    optimizer.belongs_to(model)
    for parameter in model.parameters():
        parameter.grad = None  # its memory is free for the gradients of this step
    losses, gradients = value_and_gradients(model, batch, pool)
    return losses.plain, take_step(model, optimizer, losses.plain, gradients)
