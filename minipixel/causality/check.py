"""The two questions people ask: is it causal, and where not."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minipixel.causality import perturbation as perturb
from minipixel.causality.gradients import dependencies
from minipixel.causality.report import CausalityReport
from minipixel.causality.structure import structure
from minipixel.causality.subjects import OfModel, Subject, subject_of
from minipixel.causality.witnesses import Witness, batch_verdict, earlier, modes, proof
from minipixel.clock import Clock, Trace
from minipixel.errors import CausalityError
from minipixel.models.checks import check_count
from minipixel.randomness import generator
from minipixel.shown import short
from minipixel.spelling import spelled

ALL, MANY, FEW = 256, 1024, 32
"""Up to ALL sub-pixels everything is tried on each; above, what takes long on FEW of them, and changing them one by one
on one image up to MANY, or further if nothing else tells what depends on what."""
WHOLE = 4096
"""Up to how many sub-pixels the matrix has all rows, where the graph gives them."""


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
) -> CausalityReport:
    """Compare all that something depends on with the order in which it draws.

    A minipixel model knows its images and its order: it is checked through its graph, by gradients, by the clock, and
    by changing what is later. A PyTorch module (channels first, unless told otherwise), or a JAX function: by gradients
    and by change; any other function on arrays by change alone.

    - `image_shape`: (H, W, C), or (C, H, W) with channels first. The function takes images (N, H, W, C) and returns
      (N, H, W, P), (N, H, W) or (N, H, W, C, Q); or (N, C, H, W) and (N, P, H, W), (N, C, Q, H, W) or (N, Q, C, H, W).
    - `order`: "raster", "rgb-planes" (all red first) or the place in line of each sub-pixel, integers (H, W, C).
    - `groups`: the colour of each output channel; by default an even split, the first third red.
    - `inputs`: what images it takes, (dtype, lowest, highest): ("float32", -1.0, 1.0), or ("uint8", 0, 255) say.
    - `images`: how many are tried, drawn at random from `rng`; none of them is constant.
    - `outputs`: look at these alone, places in raster order (r * W + c) * C + channel. Of large images some are picked.

    Positions in the report are (r, c, channel) whatever the layout. Raises ValueError for what cannot be meant.
    """
    subject = subject_of(
        model_or_function, image_shape, order, groups=groups, inputs=inputs, channels_first=channels_first
    )
    images = check_count("images", images, 1)
    picked = None if outputs is None else _check_outputs(outputs, subject.size)
    few = picked
    if few is None:
        spread = np.linspace(0, subject.size - 1, FEW if subject.size > ALL else subject.size)
        few = np.unique(spread.astype(int))
    return _Check(subject, images, rng, picked, few).report()


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
    )
    if not report.ok:
        raise CausalityError(f"{report.name}: {report.why}")


def _check_outputs(outputs: Any, S: int) -> np.ndarray:
    places = np.asarray(outputs)
    if places.ndim != 1 or places.dtype.kind not in "iu" or not len(places) or places.min() < 0 or places.max() >= S:
        raise ValueError(f"outputs: got {short(outputs)}, wanted places in raster order, whole numbers in 0..{S - 1}")
    return np.unique(places)


class _Check:
    """One check: what was found so far, a row of dependencies for each output that was looked at."""

    def __init__(self, subject: Subject, images: int, rng: Any, picked: np.ndarray | None, few: np.ndarray) -> None:
        self.subject, self.images, self.picked, self.few = subject, images, picked, few
        self.rng = int(generator(rng).integers(2**62))  # every witness draws the same images from it
        self.found: dict[int, np.ndarray] = {}
        self.witnesses: list[Witness] = []

    def report(self) -> CausalityReport:
        """All that there is to try, the cheapest first."""
        subject = self.subject
        known = isinstance(subject, OfModel) and self._graph(subject)
        mixing = []
        for mode, seed in modes(subject):
            if perturb.strangers(subject, images=self.images, rng=self.rng, seed=seed):
                mixing.append(mode)
            else:
                self._change(mode, seed, known)
        self.witnesses.append(batch_verdict(mixing))
        if (
            subject.has_gradients and "" not in mixing
        ):  # copies of an image that see each other have no rows of their own
            matrix = dependencies(subject, images=self.images, outputs=self.few, rng=self.rng)
            self._add("gradients", self.few, matrix, f"of {len(self.few):,} outputs on {self._images(self.images)}")
        outputs = np.array(sorted(self.found), int)
        matrix = np.array([self.found[place] for place in outputs], bool).reshape(len(outputs), subject.size)
        return CausalityReport(subject.name, subject.order, matrix, outputs, tuple(self.witnesses))

    def _graph(self, subject: OfModel) -> bool:
        """What can be read off the graph, if all its ops say what they read."""
        try:
            trace = Trace(subject.model)
        except ValueError as error:
            self.witnesses.append(Witness("structure", None, f"not to be had, nor a proof by the clock: {error}"))
            return False
        whole = np.arange(subject.size) if subject.size <= WHOLE else self.few
        rows = whole if self.picked is None else self.picked
        matrix = structure(subject.model, outputs=rows, trace=trace)
        self._add("structure", rows, matrix, f"all that {len(rows):,} outputs can read, whatever the weights")
        self.witnesses.append(proof(subject.model, Clock(trace, subject.groups, subject.order)))
        return True

    def _change(self, mode: str, seed: int | None, known: bool) -> None:
        """Change sub-pixels: one by one where that is cheap or nothing else tells, else a whole future at once."""
        subject, S = self.subject, self.subject.size
        if S <= ALL or (not known and (S <= MANY or not subject.has_gradients)):
            images = self.images if S <= ALL else 1
            rows = np.arange(S) if self.picked is None else self.picked
            matrix = perturb.perturbed(subject, images=images, outputs=rows, rng=self.rng, seed=seed)
            tried = f"{S:,} sub-pixels changed, one at a time, on {self._images(images)}{mode}"
            self._add("perturbation", rows, matrix, tried)
        if S > ALL:
            options: dict[str, Any] = {"images": self.images, "rng": self.rng, "seed": seed}
            moved = perturb.future_changed(subject, self.few, **options)
            suspects = np.flatnonzero(moved.any(axis=0))
            matrix = np.zeros((len(suspects), S), bool)
            if len(suspects):
                matrix = perturb.perturbed(subject, outputs=suspects, **options)
                unexplained = ~(matrix & ~earlier(subject.order, suspects)).any(axis=1)
                first = self.few[moved[:, suspects].argmax(axis=0)]
                matrix[unexplained, first[unexplained]] = True  # it takes several at once: name the first of them
            tried = f"all changed from each of {len(self.few):,} sub-pixels on, on {self._images(self.images)}{mode}"
            self._add("future", suspects, matrix, tried)

    def _add(self, name: str, rows: np.ndarray, matrix: np.ndarray, tried: str) -> None:
        """What a witness found, the dependencies of some outputs, and what it did to find it."""
        for place, row in zip(rows.tolist(), matrix, strict=True):
            self.found[place] = self.found[place] | row if place in self.found else row
        late = int((matrix & ~earlier(self.subject.order, rows)).sum())
        self.witnesses.append(Witness(name, not late, f"{tried}: {late:,} leaks"))

    @staticmethod
    def _images(n: int) -> str:
        return f"{n} image{'s' * (n > 1)}"
