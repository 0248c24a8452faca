"""Checks of the arguments of `fit` and `fit_embedding` other than images; each raises ValueError with one line."""

from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

import numpy as np

from minipixel.models import EmbeddingNet, Model
from minipixel.models.arrays import what
from minipixel.models.checks import as_images
from minipixel.optim import OPTIMIZERS, Adam, Optimizer
from minipixel.shown import short
from minipixel.spelling import did_you_mean
from minipixel.training.callbacks import Callback

Transform = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def check_model(caller: str, model: Any, kind: type[Model] | type[EmbeddingNet]) -> None:
    """Raise ValueError unless it is a model of the kind that the caller trains."""
    if isinstance(model, kind):
        return
    way_out = f"such as {caller}(model, images)"
    if isinstance(model, EmbeddingNet):
        way_out = "an EmbeddingNet learns by fit_embedding"
    elif isinstance(model, Model):
        way_out = "a model learns by fit"
    elif isinstance(model, type) and issubclass(model, kind):
        way_out = f"make one: {model.__name__}(image_shape, levels)"
    wanted = "an EmbeddingNet" if kind is EmbeddingNet else "a model"
    raise ValueError(f"{caller}: got {what(model)}, wanted {wanted}; {way_out}")


def check_optimizer(optimizer: Any) -> Optimizer:
    """The optimizer that is given, or the one of that name, or for None Adam at 1e-3; else ValueError."""
    if optimizer is None:
        return Adam()
    if isinstance(optimizer, Optimizer):
        return optimizer
    if isinstance(optimizer, str) and optimizer.lower() in OPTIMIZERS:
        kind: Callable[[], Optimizer] = OPTIMIZERS[optimizer.lower()]
        return kind()
    if isinstance(optimizer, str):
        wanted = f"one of {', '.join(map(repr, OPTIMIZERS))}{did_you_mean(optimizer, OPTIMIZERS)}"
    elif isinstance(optimizer, type) and issubclass(optimizer, Optimizer):
        wanted = f"an object of it; say {optimizer.__name__}()"
    elif isinstance(optimizer, Real) or callable(optimizer):
        wanted = f"one of mp.optim; with that learning rate, say Adam({short(optimizer)})"
    else:
        wanted = "one of mp.optim, or its name; such as mp.optim.Adam(1e-3)"
    got = short(optimizer) if isinstance(optimizer, Real) else what(optimizer)
    raise ValueError(f"optimizer: got {got}, wanted {wanted}")


def check_callbacks(callbacks: Any) -> list[Callback]:
    """A list of callbacks, from a list, from a single callback, or from None; else ValueError."""
    if callbacks is None or isinstance(callbacks, (Callback, type)) or not isinstance(callbacks, Sequence):
        callbacks = [] if callbacks is None else [callbacks]
    for callback in callbacks:
        if isinstance(callback, type) and issubclass(callback, Callback):
            raise ValueError(f"callbacks: got {what(callback)}, wanted an object of it; say {callback.__name__}(...)")
        if not isinstance(callback, Callback):
            raise ValueError(
                f"callbacks: got {what(callback)}, wanted one of mp.callbacks; derive your own from "
                "mp.callbacks.Callback"
            )
    return list(callbacks)


def check_transform(transform: Any) -> Transform | None:
    """A function of (images, rng), or None; else ValueError."""
    if transform is not None and not callable(transform):
        raise ValueError(
            f"transform: got {what(transform)}, wanted a function of (images, rng) that gives images; "
            "such as lambda images, rng: images"
        )
    return transform


def check_validation(model: Model, validation: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """Images to validate on, and their conditions, from images or from a pair; ValueError if the model refuses them.

    A list of two is a pair if its first element has four axes, as many images have; otherwise it is two images.
    """
    two = isinstance(validation, list) and len(validation) == 2
    pair = isinstance(validation, tuple) or (two and as_images(validation[0]).ndim == 4)
    if pair and len(validation) != 2:
        raise ValueError(f"validation: got {len(validation)} things, wanted images, or (images, condition)")
    try:
        return model.checked(*(validation if pair else (validation, None)))
    except ValueError as error:
        raise ValueError(f"validation: {error}") from None


def check_share(validation: Any, N: int) -> float | None:
    """`validation` as a share of N images if it is a number, else None. Raises ValueError if not between 0 and 1."""
    if not isinstance(validation, (Real, np.generic)):
        return None
    share = float(validation)
    if isinstance(validation, bool) or not 0 < share < 1 or N < 2:
        raise ValueError(
            f"validation: got {short(validation)} of {N} images, wanted images, or a share of them between 0 and 1, "
            "such as 0.1"
        )
    return share


def held_out(N: int, share: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The places of the images to train on and of those to validate on, in rising order; at least one of each."""
    n = min(max(1, round(N * share)), N - 1)
    order = rng.permutation(N)
    return np.sort(order[n:]), np.sort(order[:n])


def check_one_each(model: Model, condition: Any) -> None:
    """Raise ValueError for a single condition. `sample` uses one for all images, but training needs one per image."""
    if model.conditions.is_single(condition):
        raise ValueError("condition: got a single one, wanted one per image; np.stack([condition] * len(images)) say")
