"""The two questions people ask: is it causal, and where not."""

from typing import Any

from minipixel.causality.gradients import dependencies
from minipixel.causality.report import CausalityReport
from minipixel.errors import CausalityError
from minipixel.models import Model


def check_causality(model: Model, image_shape: Any = None, *, images: int = 4, rng: Any = 0) -> CausalityReport:
    """Compare all that a minipixel model depends on with the order in which it draws, by gradients.

    `images` random images are tried, drawn from `rng`. `image_shape` may be left out: a model knows its own.
    Raises ValueError for anything but a minipixel model.
    """
    if not isinstance(model, Model):
        raise ValueError(f"check_causality: got a {type(model).__name__}, wanted a minipixel model")
    if image_shape is not None and tuple(image_shape) != model.image_shape:
        raise ValueError(f"image_shape: got {tuple(image_shape)}, wanted {model.image_shape}, that of the model")
    return CausalityReport(type(model).__name__, model.order, dependencies(model, images=images, rng=rng))


def assert_causal(model: Model, image_shape: Any = None, *, images: int = 4, rng: Any = 0) -> None:
    """Raise CausalityError, naming the first offending pair, unless `check_causality` finds no leak."""
    report = check_causality(model, image_shape, images=images, rng=rng)
    if not report.ok:
        output, read = report.leaks[0]
        itself = " (its own value)" if tuple(output) == tuple(read) else ", which is drawn later"
        raise CausalityError(
            f"{report.name}: sub-pixel {report.describe(output)} depends on {report.describe(read)}{itself}; "
            f"{len(report.leaks):,} such pairs in all; look for a mask, a shift or a crop that lets the future in"
        )
