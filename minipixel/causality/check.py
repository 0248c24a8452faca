"""The two public functions: `check_causality`, which returns a report, and `assert_causal`, which raises an error."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minipixel.causality.examination import Examination
from minipixel.causality.report import CausalityReport
from minipixel.causality.subjects import subject_of
from minipixel.causality.turns import takes_turns
from minipixel.errors import CausalityError
from minipixel.models.checks import check_count
from minipixel.shown import short
from minipixel.spelling import spelled

MODES = ("evaluation", "training")


@spelled
def check_causality(
    model_or_function: Any,
    image_shape: Any = None,
    *,
    order: Any = None,
    groups: Any = None,
    inputs: Any = None,
    channels_first: bool | None = None,
    images: int = 4,
    rng: Any = 0,
    outputs: Sequence[int] | None = None,
    layout: str | None = None,
    call: Any = None,
    head: str | None = None,
    modes: Sequence[str] = MODES,
    tolerance: float = 0.0,
    batch_size: int | None = None,
) -> CausalityReport:
    """Check that no output of a model depends on the value that it predicts, or on values that are drawn later.

    It takes a minipixel model, a PyTorch module, or any function from images to parameters, and returns a
    CausalityReport: `report.ok` is True if nothing leaks, and `print(report)` explains the result.

    A minipixel model is checked by its graph, by gradients, by a proof with the clock, and by changing later
    sub-pixels. A PyTorch module or a JAX function is checked by gradients and by changing sub-pixels; any other
    function only by changing them. A weight that happens to be zero could hide a leak; so the check is repeated with
    changed weights in a copy of the model, where they can be found. The model itself is not changed.

    - `image_shape` is the shape of an image: (H, W, C), or (C, H, W) with channels first; (H, W) for images (N, H, W)
      without a channel axis; (S,) for vectors and sequences (N, S). A minipixel model needs none.
    - `channels_first` says whether channels come first; by default they do for PyTorch modules, and for others not.
    - `layout` describes the axes of the output, if its shape is not enough: N images, H rows, W columns, C colours, Q
      parameters per sub-pixel, P parameters per pixel, S sub-pixels in raster order; parentheses join axes. Examples
      are "NCHWQ", "N(QC)HW" and "NSQ"; "NHWC->NHWCQ" describes the images as well.
    - `call` is how the module is called, if not as module(x): `lambda net, x: net(x[:, 0], labels)[0]`.
    - `order` is the order of drawing: "raster", "pixels" (all colours of a pixel at once), "rgb-planes" (all of red
      first), or integers (H, W, C), with 0 for the first sub-pixel.
    - `groups` has the colour of each output channel; by default they are split evenly, the first third for red.
    - `head="logistic_mixture"` means that the head joins the colours, as in PixelCNN++: then no parameter may depend
      on its own pixel.
    - `inputs` is the kind of images, (dtype, lowest, highest), such as ("float32", -1.0, 1.0) or ("uint8", 0, 255).
    - `images` is the least number of random images that are tried; they are drawn from `rng`. `batch_size` is the
      number of images in every call.
    - `outputs` are the outputs to check, places in raster order (r * W + c) * C + channel. By default all are checked,
      and of large images a selection.
    - `modes` has "evaluation", "training" or both. In training mode statistics over the batch are reported, but do not
      count as a leak.
    - `tolerance`: changes up to this share of the largest legal change do not count as a leak; by default every bit
      counts.

    Positions in the report are (r, c, channel), whatever the layout. Raises ValueError for arguments of another kind or
    range, and if the model raises an error when it is called.
    """
    subject = subject_of(
        model_or_function,
        image_shape,
        order,
        groups=groups,
        inputs=inputs,
        channels_first=channels_first,
        layout=layout,
        call=call,
        head=head,
        batch_size=batch_size,
    )
    picked = None if outputs is None else _check_outputs(outputs, subject.size)
    options: dict[str, Any] = {
        "images": check_count("images", images, 1),
        "rng": rng,
        "picked": picked,
        "modes": _check_modes(modes),
        "tolerance": _check_tolerance(tolerance),
    }
    report = Examination(subject, **options).report()
    turns = subject.interleaved() if _within_pixels(report) else None
    if turns is not None and takes_turns(turns):
        turns.notes += ('its colours are read in turn, "N(QC)HW", since in blocks it leaks, and all within a pixel',)
        other = Examination(turns, **options).report()
        return other if other.ok else report
    return report


@spelled
def assert_causal(
    model_or_function: Any,
    image_shape: Any = None,
    *,
    order: Any = None,
    groups: Any = None,
    inputs: Any = None,
    channels_first: bool | None = None,
    images: int = 4,
    rng: Any = 0,
    outputs: Sequence[int] | None = None,
    layout: str | None = None,
    call: Any = None,
    head: str | None = None,
    modes: Sequence[str] = MODES,
    tolerance: float = 0.0,
    batch_size: int | None = None,
) -> None:
    """Raise CausalityError if `check_causality`, which has the same arguments, finds a leak or cannot decide.

    The message names the first output that depends on a later sub-pixel or on itself, and the usual cause.
    """
    report = check_causality(
        model_or_function,
        image_shape,
        order=order,
        groups=groups,
        inputs=inputs,
        channels_first=channels_first,
        images=images,
        rng=rng,
        outputs=outputs,
        layout=layout,
        call=call,
        head=head,
        modes=modes,
        tolerance=tolerance,
        batch_size=batch_size,
    )
    if not report.ok:
        raise CausalityError(f"{report.name}: {report.why}")


def _within_pixels(report: CausalityReport) -> bool:
    """Whether there are leaks, and all of them are between colours of one pixel."""
    leaks = report.leaks
    return len(leaks) > 0 and bool((leaks[:, 0, :2] == leaks[:, 1, :2]).all())


def _check_outputs(outputs: Any, S: int) -> np.ndarray:
    places = np.asarray(outputs)
    if places.ndim != 1 or places.dtype.kind not in "iu" or not len(places) or places.min() < 0 or places.max() >= S:
        raise ValueError(f"outputs: got {short(outputs)}, wanted places in raster order, whole numbers in 0..{S - 1}")
    return np.unique(places)


def _check_modes(modes: Any) -> tuple[str, ...]:
    names = (modes,) if isinstance(modes, str) else tuple(modes) if isinstance(modes, (tuple, list, set)) else ()
    if not names or set(names) - set(MODES):
        raise ValueError(f'modes: got {short(modes)}, wanted some of ("evaluation", "training")')
    return names


def _check_tolerance(tolerance: Any) -> float:
    if isinstance(tolerance, bool) or not isinstance(tolerance, (int, float, np.number)) or not 0 <= tolerance < 1:
        raise ValueError(f"tolerance: got {short(tolerance)}, wanted a share of the largest legal change, in [0, 1)")
    return float(tolerance)
