"""The training loop: shuffle, cut into batches, cut those into shards, sum their gradients along a tree, step.

The result is the same to the bit for any number of workers, and of ranks (ranks.py): the cut into shards, and the tree
along which their gradients are added, depend on the batch and the model alone (shards.py, models/step.py), and random
numbers are keyed by what they are for (streams.py). It is the same, too, however often training was stopped and
resumed: what the next step depends on is in a Training (training.py).
"""

import functools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minipixel import console
from minipixel.backend import explained
from minipixel.draws import Draws
from minipixel.files import alone_with
from minipixel.messages import GO_ON, INTERRUPT, STOP
from minipixel.models import Model
from minipixel.models.checks import MANY, as_images, check_count, check_flag, check_weights
from minipixel.models.network import MOST_NUMBERS
from minipixel.models.step import Batch, shard_losses, value_and_gradients
from minipixel.optim import Optimizer
from minipixel.progress import quiet
from minipixel.ranks import on_all_ranks, sharing
from minipixel.shards import Workers, rows
from minipixel.spelling import spelled
from minipixel.training.alike import check_alike
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
from minipixel.training.checkpoints import Position, find, from_first, written
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
@on_all_ranks
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
    ranks: Any = None,
    progress: bool = True,
    resume: str | os.PathLike[str] | None = None,
    anomaly: bool = False,
) -> History:
    """Train a model on integer images (N, H, W, C) by maximum likelihood; returns a History with one entry per epoch.

    `validation`: images, or a pair (images, condition), which are scored after every epoch; or a share of the
    training images, such as 0.1, which `rng` picks, and which `transform` changes once. `optimizer`: an object of
    mp.optim, or its name; None means Adam with a learning rate of 1e-3. `callbacks`: a list of callbacks, or a single
    one. `transform(images, rng)`: a function that changes every batch, for dynamic binarisation or augmentation.
    `rng`: None, an int, a SeedSequence or a Generator. `workers`: the number of threads; None means one per core.
    A model on a GPU trains there, with a whole batch as one shard, and `workers` then changes nothing.

    `ranks`: the processes that train together (docs/ranks.md). None means all that an MPI launcher has started, 1
    means this process alone, and a communicator of mpi4py means its processes. All of them have to call `fit` with
    the same arguments; callbacks that write are called on the first alone. The result is the same to the bit for any
    number of workers and ranks.

    `sample_weight`: numbers (N,), how much each image counts in the gradient; they may be 0 or negative. History and
    monitors count all images alike. `trainable`: names of weights, beginnings of such names, or layers. All other
    weights stay as they are, to the bit, and so does what the optimizer remembers of them. After `fit` all weights
    are trainable as before.

    `resume`: a checkpoint that callbacks.ModelCheckpoint has written, or its folder, of which the newest intact
    checkpoint is taken. Training goes on from there, to the same bits as if it had never stopped. If the folder has
    no checkpoint, training starts at the beginning, so that a command with ModelCheckpoint(folder) and resume=folder
    may be run again whenever it was killed. All arguments but `epochs`, `validation`, `workers`, `ranks` and
    `callbacks` have to be the same as before; `validation`, too, if it is a share. rng=None takes the stored seed. Of
    `transform` it can only be checked whether there is one. The seconds in the History are those of all runs
    together.

    Raises ValueError for wrong arguments, and for arguments that differ from those of the checkpoint, before anything
    is changed; BlockingIOError if another training writes to a file or folder of a callback; FormatError for a
    damaged checkpoint; Interrupted, a KeyboardInterrupt, after Ctrl-C or SIGTERM; RankError for an error on another
    rank; NonFiniteError if a loss or a gradient is NaN or infinite, before that step is taken. With `anomaly` this
    error names the op in which it began.
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

    workers_pool, before = Workers(workers, ranks=ranks, device=model.device), written(resume) if ranks.first else {}
    saved = from_first(None if resume is None or not ranks.first else find(resume), ranks)
    seed = ranks.from_first("seed", Streams(saved.seed if saved and rng is None else rng).root)
    streams = Streams(np.random.SeedSequence(**seed))
    share = check_share(validation, len(images))
    if share is not None:
        learned, kept = held_out(len(images), share, streams(VALIDATION))
        shown = images[kept] if transform is None else transform(images[kept], streams(VALIDATION, 1))
        validation = shown, rows(condition, kept)
        images, sample_weight = Chosen(images, learned), rows(sample_weight, learned)
        condition = rows(condition, learned)
    if validation is not None:
        validation = check_validation(model, validation)
    progress = progress and ranks.first
    watchers = [*([Progress(epochs)] if progress else []), *(w for w in watchers if ranks.first or not w.writes)]
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
        *others, logs = arguments
        reported = dict(logs)
        for reads in (False, True):
            for watcher in watchers:
                if watcher.reads_numbers == reads:
                    getattr(watcher, event)(at.epoch, *others, logs)
                    check_numbers(logs, reported, watcher)
            if event == "on_epoch_end" and not reads:  # also those that only the first rank has
                logs |= ranks.from_first("numbers", logs)

    def stopped() -> bool:
        """Whether a callback asks to end after the step at hand."""
        return any(watcher.stop_training for watcher in watchers)

    def asked() -> int:
        """What any rank asks for after the step at hand: to go on, to STOP for a callback, to INTERRUPT for Ctrl-C."""
        own = INTERRUPT if interrupted() or ranks.orphaned else STOP if stopped() else GO_ON
        return ranks.most("after a step", own)

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

    def train_epoch(at: Position) -> int:
        """The steps of an epoch that are left; what has cut it short, a callback or a bad number, or Ctrl-C."""
        began = time.perf_counter() - at.seconds
        for chosen, batch in batches(at.epoch, at.step):
            try:
                loss, norm = _step(model, batch, optimizer, pool)
            except StepError as what:
                parts = pool.parts(len(chosen), pool.shard(len(chosen), model.shard_of_batch(len(chosen))))
                again = functools.partial(map, lambda part, batch=batch: shard_losses(model, batch, part)[0], parts)
                error = report(what, (at.epoch, at.step), chosen, first_op(model, again) if anomaly else None)
                error.history = history
                tell("on_not_finite", error)
                if not ranks.most("after a bad number", STOP if stopped() else GO_ON):
                    raise error from None
                return STOP
            at.advance(len(chosen), loss, norm)
            at.seconds = time.perf_counter() - began
            tell_numbers("on_batch_end", at, len(chosen), training.logs())
            stop = asked()
            tell("on_pause", training, stop > GO_ON)
            if stop:
                return stop
        return GO_ON

    def end_epoch(at: Position) -> None:
        """Validate, and tell what came of it."""
        began, logs = time.perf_counter() - at.seconds, training.logs()
        tell("on_evaluation_begin")
        if validation is not None:
            with sharing(ranks):
                nats = float(-model.log_prob(*validation).mean())
            logs |= {"val_loss": nats, "val_bits_per_dim": model.bits(nats)}
        logs |= {"learning_rate": optimizer.rate, "seconds": time.perf_counter() - began}
        history.append(logs)
        tell_numbers("on_epoch_end", at, logs)
        history.revise(logs)
        tell("on_evaluation_end")

    claims = [claim for watcher in watchers if ranks.first for claim in watcher.claims()]
    with (
        alone_with(claims),
        others_are_frozen(),
        quiet(),
        workers_pool as pool,
        finish_the_step(progress) as interrupted,
    ):
        if ranks.first and written(resume) != before:
            raise BlockingIOError(f"resume: {resume} was written by another training just now; run this once more")
        if saved:
            training.restore_model(saved)
        elif not model.initialized:
            _, first = next(batches(0))
            enough = min(ENOUGH, model.most_images(4 * MOST_NUMBERS))
            given = first.images[:enough], rows(first.condition, slice(enough))
            ranks.in_turn("initialize", lambda: model.initialize(*given))
        if progress and resume is not None:
            print(f"resume: {saved or f'nothing in {resume} yet, starting at the beginning'}", file=console.stderr)
        at = training.position
        for watcher in watchers:
            watcher.stop_training = False
        if ranks.size > 1:
            check_alike(ranks, training, next(batches(at.epoch % epochs))[1])
        tell("on_train_begin", model, (epochs - at.epoch) * len(images) - at.seen)
        try:
            if saved:
                training.restore_callbacks(saved)
            while at.epoch < epochs and not ranks.most("before an epoch", STOP if stopped() else GO_ON):
                if at.step == 0:
                    tell("on_epoch_begin", at.epoch, optimizer)
                cut_short = train_epoch(at)
                if cut_short:
                    if at.seen:
                        history.append(training.logs() | {"learning_rate": optimizer.rate, "seconds": at.seconds})
                    if cut_short == INTERRUPT:
                        raise KeyboardInterrupt
                    break
                end_epoch(at)
                at = training.position = Position(at.epoch + 1)
                stop = asked()
                tell("on_pause", training, stop > GO_ON or at.epoch == epochs)
                ranks.alike({"parameters": [parameter.data for parameter in model.parameters()]})
                if stop == INTERRUPT:
                    raise KeyboardInterrupt
        except KeyboardInterrupt:
            early = Interrupted(history, training.saved)
            if progress:
                print(early, file=console.stderr)
            raise early from None
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
    with explained(len(batch.images)):
        losses, gradients = value_and_gradients(model, batch, pool)
        return take_step(model, optimizer, losses.plain, gradients)
