"""The two questions people ask: is it causal, and where not."""

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
    """Compare all that something depends on with the order in which it draws.

    A minipixel model knows its images and its order: it is checked through its graph, by gradients, by the clock, and
    by changing what is later. A PyTorch module (channels first, unless told otherwise), or a JAX function: by gradients
    and by change; any other function on arrays by change alone. Weights that can be found are shaken, in a copy, and
    asked again, so that none that starts at zero hides a path. Nothing of the thing itself is changed.

    - `image_shape`: (H, W, C), or (C, H, W) with channels first; (H, W) for images (N, H, W) without a channel axis;
      (S,) for vectors and sequences (N, S).
    - `layout`: how the output is laid out, if its shape does not say it: letters for the axes, N images, H rows, W
      columns, C colours, Q parameters per sub-pixel, P parameters per pixel, S sub-pixels in raster order; parentheses
      join axes. "NCHWQ", "N(QC)HW" (colours in turn), "NSQ"; "NHWC->NHWCQ" says the images', too.
    - `call`: how a module is called, if not as module(x): `lambda net, x: net(x[:, 0], labels)[0]`.
    - `order`: "raster", "pixels" (all colours of a pixel at once), "rgb-planes" (all red first) or the place in line of
      each sub-pixel, integers (H, W, C).
    - `groups`: the colour of each output channel; by default an even split, the first third red. `head`:
      "logistic_mixture" joins the colours in the head, as PixelCNN++ does: no parameter may see its own pixel.
    - `inputs`: what images it takes, (dtype, lowest, highest): ("float32", -1.0, 1.0), or ("uint8", 0, 255) say.
    - `images`: how many are tried, at least, drawn at random from `rng`; none of them is constant. `batch_size`: how
      many it is called with, always.
    - `outputs`: look at these alone, places in raster order (r * W + c) * C + channel. Of large images some are picked.
    - `modes`: "evaluation", "training". In training, statistics over the batch are named, and are no leak.
    - `tolerance`: changes up to that share of the largest legal one are no leak; by default every bit counts.

    Positions in the report are (r, c, channel) whatever the layout. Raises ValueError for what cannot be meant, and if
    the thing raises an error when it is called.
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
    """Raise CausalityError, naming the first offending pair, unless `check_causality` finds no leak; same arguments."""
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
    """Whether something leaks, and all that leaks does so within a pixel."""
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
