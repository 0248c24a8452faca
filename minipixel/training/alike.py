"""What has to be the same on all ranks before their first step, for else they would train apart, or to other bits."""

import json
import platform
from importlib.metadata import PackageNotFoundError, version

from minipixel import console
from minipixel.kernels import numba_enabled
from minipixel.messages import fingerprint
from minipixel.models.step import Batch, value_and_gradients
from minipixel.ranks import ALONE, Ranks
from minipixel.shards import Workers, rows
from minipixel.training.training import Training


def check_alike(ranks: Ranks, training: Training, batch: Batch) -> None:
    """RankError that names what differs: versions, arguments, weights, or one shard's gradient, which has them all.

    The gradient finds processors, and libraries of linear algebra, that compute other bits. It is computed on rank 0
    first, where it compiles the kernels for those that share its cache.
    """
    model, N = training.model, len(batch.images)
    pool = Workers(1, ranks=ranks, device=model.device)
    size = pool.shard(N, model.shard_of_batch(N))

    def gradient() -> str:
        first = slice(0, size)
        some = batch.images[first], rows(batch.condition, first), rows(batch.weights, first)
        model.log_prob(some[0][:1], rows(some[1], slice(1)))  # for validation: compiles other kernels
        with Workers(1, ranks=ALONE, device=model.device) as alone:
            return fingerprint(list(value_and_gradients(model, Batch(*some, batch.draws), alone)[1].values()))

    ranks.same({"versions": _versions()})
    said = {name: json.dumps(value, sort_keys=True) for name, value in training.same.items()}
    weights = fingerprint(list(model.state_dict().values()))
    ranks.same({"model": json.dumps(model.config, sort_keys=True), **said, "parameters": weights})
    ranks.same({"gradient": ranks.in_turn("compile", gradient)})
    shards = -(-N // size)
    if shards < ranks.size:
        console.warn(
            f"ranks: got {ranks.size} for batches of {N} images in {shards} shards, so {ranks.size - shards} have no "
            f"work; wanted at most {shards}, or a batch_size of {size * ranks.size} or more",
            stacklevel=6,
        )


def _versions() -> str:
    """What computes: libraries, kernels and the kind of machine."""
    found = {}
    for name in ("minipixel", "numpy", "scipy", "numba"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    kernels = "compiled" if numba_enabled() else "plain"
    return f"{found}, Python {platform.python_version()}, {kernels} kernels, {platform.machine()}"
