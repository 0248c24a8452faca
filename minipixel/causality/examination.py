"""One whole check: it asks all witnesses, the cheapest first, and puts their results into one report."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minipixel import console
from minipixel.causality import perturbation as perturb
from minipixel.causality.gradients import slopes
from minipixel.causality.naming import leaking_layer, mixing_layer
from minipixel.causality.of_model import OfModel
from minipixel.causality.precision import is_rounding, mixing
from minipixel.causality.report import CausalityReport
from minipixel.causality.structure import joined, structure
from minipixel.causality.subjects import Subject
from minipixel.causality.witnesses import Witness, differs_in_training, earlier, proof, repeats
from minipixel.clock import Clock, Trace
from minipixel.randomness import generator

ALL, MANY, FEW = 256, 1024, 32
"""Up to ALL sub-pixels everything is tried on each; above, what takes long on FEW of them, and changing them one by one
on one image up to MANY, or further if nothing else tells what depends on what."""
WHOLE = 4096
"""Up to how many sub-pixels the matrix has all rows, where the graph gives them."""
STILL, MOST = 4, 32
"""Images go on being tried until so many in a row show no further dependency, and at most so many."""
SHAKES = 2
"""How many copies with other weights are asked."""
LIGHT, HEAVY, MOST_KEPT = 2**23, 2**25, 2**29
"""Bytes that the way back of an image keeps: above ALL sub-pixels these are changed one by one only up to LIGHT, and
from HEAVY on less is asked, of half as many outputs on half as many images; above MOST_KEPT there is no way back."""


def some_of(places: np.ndarray, C: int, few: int = FEW) -> np.ndarray:
    """About `few` of some places in raster order, evenly spread over each colour, with the first and the last."""
    by_colour = [places[places % C == k] for k in range(C)]
    each = max(2, few // sum(len(some) > 0 for some in by_colour)) if len(places) else 0
    spread = [some[np.linspace(0, len(some) - 1, each).astype(int)] for some in by_colour if len(some)]
    return np.unique(np.concatenate([places[:0], *spread]))


class Examination:
    """One check, with the results so far: a row of dependencies for each output that was checked."""

    def __init__(
        self,
        subject: Subject,
        *,
        images: int,
        rng: Any,
        picked: np.ndarray | None,
        modes: tuple[str, ...],
        tolerance: float,
    ) -> None:
        self.subject, self.picked, self.modes, self.tolerance = subject, picked, modes, tolerance
        self.rng = int(generator(rng).integers(2**62))  # every witness draws the same images from it
        channel = np.arange(subject.size) % subject.image_shape[2]
        self.described = np.flatnonzero(np.isin(channel, subject.groups) | subject.joins)
        self.rows = self.described if picked is None else np.intersect1d(picked, self.described)
        large = subject.size > ALL
        heavy = large and subject.kept > HEAVY
        self.few = some_of(self.rows, subject.image_shape[2], FEW // (1 + heavy))
        self.few = self.rows if picked is not None or not large else self.few
        self.images = max(1, images // 2) if heavy else images
        self.found: dict[int, np.ndarray] = {}
        self.witnesses: list[Witness] = []
        self.notes = list(subject.notes)
        self.batch_statistics: tuple[str, ...] = ()
        self.suspects = np.zeros(0, int)  # outputs seen to leak where not all outputs are looked at
        self.illegal = 0.0
        self.moves = False  # whether anything moves that may
        self.leaking: tuple[Subject, int | None] | None = None  # what was seen to leak first, and its seed
        self.layer = ""
        self.shaken_copy = subject  # the last one

    def report(self) -> CausalityReport:
        """Run all that can be tried, the cheapest first, and return the report."""
        subject = self.subject
        known = isinstance(subject, OfModel) and self._graph(subject)
        mixes = self._evaluation(known) if "evaluation" in self.modes else False
        if "training" in self.modes and subject.trains:
            self._ask("training", lambda: self._training(known))
        if "evaluation" in self.modes and not mixes:  # copies of an image that see each other have no rows of their own
            if not known:
                self._ask("shaken", self._shaken)
            if subject.has_gradients:
                self._ask("gradients", self._gradients)
        outputs = np.array(sorted(self.found), int)
        matrix = np.array([self.found[place] for place in outputs], bool).reshape(len(outputs), subject.size)
        if self.leaking and not self.layer:
            self.layer = leaking_layer(*self.leaking, outputs, matrix, self.rng)
        past = earlier(subject.order, outputs)
        refused = any(witness.holds is False for witness in self.witnesses)
        leaking, seed = self.leaking or (subject, None)
        return CausalityReport(
            subject.name,
            subject.order,
            matrix,
            outputs,
            tuple(self.witnesses),
            axes=subject.axes,
            batch_statistics=self.batch_statistics,
            notes=tuple(self.notes),
            undecided=not (known or self.moves or refused) and bool(past.any() or not len(outputs)),
            illegal=self.illegal,
            rounding=is_rounding(leaking, self.illegal, np.nonzero(matrix & ~past)[1], rng=self.rng, seed=seed),
            layer=self.layer,
        )

    def _graph(self, subject: OfModel) -> bool:
        """Check the graph of a minipixel model; returns False if some op does not say what it reads."""
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

    def _evaluation(self, known: bool) -> bool:
        """Check in evaluation mode; returns whether images depend on each other there."""
        subject = self.subject
        moved = mixing(subject, images=self.images, rng=self.rng)
        if moved > max(subject.rounding, self.tolerance):
            self.layer = mixing_layer(subject, None, self.rng)
            line = "the output of an image depends on another image of its batch"
            self.witnesses.append(Witness("batch", False, line))
            return True
        alone = "; it is asked about one image at a time" if subject.batch == 1 else ""
        rounding = f"; what moves is of rounding's size, {moved:.0e}" if moved else ""
        self._ask("perturbation", lambda: self._change(subject, None, "", known))
        line = f"no image sees another one of its batch{alone}{rounding}"
        self.witnesses.append(Witness("batch", True, line))
        return False

    def _training(self, known: bool) -> None:
        """Check in training mode, if it differs; statistics over the batch are left out, and reported by name."""
        subject, seed, mode = self.subject, perturb.SEED, " in training mode"
        if not differs_in_training(subject):
            shaken = self._finite_copy(0)  # a last layer of zeros hides what is different
            if shaken is not None and differs_in_training(shaken):
                subject, mode = shaken, " in training mode, weights shaken"
            elif "evaluation" in self.modes:
                return
        if not repeats(subject, seed):
            line = "not asked in training mode, where the same images give other numbers each time, whatever the seed"
            self.witnesses.append(Witness("perturbation", None, line))
            return
        few = "" if "evaluation" in self.modes else "; in evaluation nothing was asked"
        frozen = subject.frozen()
        alone = subject.batch == 1 and frozen  # there is no other image to be seen, but statistics there are
        if not alone and mixing(subject, images=self.images, rng=self.rng, seed=seed) <= self.subject.rounding:
            self._change(subject, seed, mode, known)
            return
        self.batch_statistics = frozen[1] if frozen else (mixing_layer(subject, seed, self.rng) or "an unnamed layer",)
        rest = frozen[0] if frozen else subject
        if frozen and mixing(rest, images=self.images, rng=self.rng, seed=seed) <= self.subject.rounding:
            self._change(rest, seed, f"{mode}, statistics over the batch as in evaluation", known)
            return
        if frozen and (layer := mixing_layer(rest, seed, self.rng)):
            self.batch_statistics += (layer,)
        line = f"not asked in training mode, where an image sees its batch, so that all moves with all{few}"
        self.witnesses.append(Witness("perturbation", None, line))

    def _shaken(self) -> None:
        """Check again with other weights, in copies, because a layer that starts at zero hides everything behind it."""
        moved = np.zeros((len(self.rows), self.subject.size), np.float32)
        suspects: set[int] = set()
        copies = 0
        for n in range(SHAKES):
            other = self._finite_copy(n)
            if other is None:
                continue
            copies, self.shaken_copy = copies + 1, other
            if mixing(other, images=self.images, rng=self.rng) > max(other.rounding, self.tolerance):
                self.layer = mixing_layer(other, None, self.rng)
                line = (
                    "with its weights shaken, in a copy, the output of an image depends on another image of its batch"
                )
                self.witnesses.append(Witness("batch", False, line))
                return
            if self.subject.size <= ALL:
                sizes = perturb.movements(other, np.random.default_rng(self.rng + n), outputs=self.rows)
                np.maximum(moved, sizes, out=moved)
            else:
                sizes = perturb.future_changed(other, self.few, images=1, rng=self.rng + n)
                suspects |= set(self._late(sizes, other, None).tolist())
        if not copies:
            return
        tried = f"with its weights shaken, in {copies} copies"
        if self.subject.size <= ALL:
            known = np.array([self.found.get(place, np.zeros(self.subject.size, bool)) for place in self.rows.tolist()])
            more = int(((moved > 0) & ~known).sum())
            self._accept("shaken", self.rows, moved, f"{tried}, {more:,} further pairs move", self.shaken_copy, None)
        else:
            self.witnesses.append(
                Witness("shaken", not suspects, f"{tried}: {len(suspects):,} outputs see their future")
            )

    def _finite_copy(self, n: int) -> Subject | None:
        """A copy with other weights whose output is finite; None if there is none."""
        for gently in (False, True):
            other = self.subject.shaken(self.rng % 2**31 + n, gently)
            if other is None:
                return None
            images = np.stack([other.random_image(np.random.default_rng(self.rng + n)) for _ in range(2)])
            if np.isfinite(other.parameters(images)).all():
                return other
        return None

    def _gradients(self) -> None:
        if self.subject.kept > MOST_KEPT:
            line = f"not asked, since the way back of one image keeps {self.subject.kept / 2**30:.1f} GiB"
            self.witnesses.append(Witness("gradients", None, line))
            return
        rows = np.union1d(self.few, self.suspects).astype(int)
        sizes = slopes(self.subject, images=self.images, outputs=rows, rng=self.rng)
        tried = f"of {len(rows):,} outputs on {self._images(self.images)}"
        if not sizes.any() and earlier(self.subject.order, rows).any():
            flat = "all are zero: something in it has no slope, as rounding has none, or nothing moves"
            self.witnesses.append(Witness("gradients", None, f"{tried}: {flat}"))
        else:
            self._accept("gradients", rows, sizes, tried, self.subject, None)

    def _change(self, subject: Subject, seed: int | None, mode: str, known: bool) -> None:
        """Change sub-pixels one by one, where that is cheap or the only way; else all later ones at once."""
        S = subject.size
        cheap = S <= MANY and seed is None and subject.kept <= LIGHT
        many = not known and (cheap or not subject.has_gradients)
        if S <= ALL or many:
            sizes, images, still = self._one_by_one(subject, seed)
            tried = f"{S:,} sub-pixels changed, one at a time, on {self._images(images)}{mode}"
            self._accept("perturbation", self.rows, sizes, f"{tried}{still}", subject, seed)
        if S > ALL:
            sizes = perturb.future_changed(subject, self.few, images=self.images, rng=self.rng, seed=seed)
            late = self._late(sizes, subject, seed)
            tried = f"all changed from each of {len(self.few):,} sub-pixels on, on {self._images(self.images)}{mode}"
            self.witnesses.append(Witness("future", not len(late), f"{tried}: {len(late):,} outputs that leak"))

    def _one_by_one(self, subject: Subject, seed: int | None) -> tuple[np.ndarray, int, str]:
        """How far outputs move, on how many images, and a remark; images are tried until nothing new is found."""
        draws, past = np.random.default_rng(self.rng), earlier(subject.order, self.rows)
        sizes = np.zeros((len(self.rows), subject.size), np.float32)
        asked = self.images if subject.size <= ALL else 1
        images = quiet = 0
        while images < asked or (subject.size <= ALL and seed is None and quiet < STILL and images < MOST):
            more = perturb.movements(subject, draws, outputs=self.rows, seed=seed)
            new = bool(((more > 0) & (sizes == 0) & past).any())
            np.maximum(sizes, more, out=sizes)
            images, quiet = images + 1, 0 if new else quiet + 1
            if images >= asked and not ((sizes == 0) & past).any():
                return sizes, images, ""
        if seed is not None or subject.size > ALL:
            return sizes, images, ""
        return sizes, images, f", of which the last {quiet} showed nothing new" if quiet else ", still finding more"

    def _late(self, sizes: np.ndarray, subject: Subject, seed: int | None) -> np.ndarray:
        """The outputs that moved when only later sub-pixels did: (few, S) -> places; notes what some of them see."""
        places = self.few
        order = subject.order.ravel()
        late = order <= order[places, None]
        legal = float(sizes[~late].max(initial=0))
        illegal = np.where(late, sizes, 0).max(axis=0)
        illegal[illegal <= self.tolerance * legal] = 0
        self.moves |= legal > 0
        outputs = np.intersect1d(np.flatnonzero(illegal), self.described if self.picked is None else self.rows)
        if len(outputs):
            self._seen_to_leak(float(illegal.max()), legal, subject, seed)
        if len(outputs) and (subject is self.subject or not len(self.suspects)):  # one leak explained is enough
            looked_at = some_of(outputs, subject.image_shape[2], len(self.few))
            causes = perturb.culprits(subject, looked_at, images=self.images, rng=self.rng, seed=seed)
            first = places[np.where(late, sizes, 0)[:, looked_at].argmax(axis=0)]
            for place, cause, other in zip(looked_at.tolist(), causes.tolist(), first.tolist(), strict=True):
                row = np.zeros(subject.size, bool)
                row[cause if cause >= 0 else other] = True
                self._found(place, row)
            self.suspects = np.union1d(self.suspects, looked_at).astype(int)
        return outputs

    def _accept(
        self, name: str, rows: np.ndarray, sizes: np.ndarray, tried: str, subject: Subject, seed: int | None
    ) -> None:
        """Add what a witness measured: how far each of some outputs moves with each sub-pixel."""
        past = earlier(subject.order, rows)
        if subject.joins:
            past = past | joined(rows, subject.image_shape)
        legal, illegal = (float(sizes[part].max(initial=0)) for part in (past, ~past))
        matrix = (sizes > 0) & (past | (sizes > self.tolerance * legal))
        self.moves |= legal > 0
        if (matrix & ~past).any():
            self._seen_to_leak(illegal, legal, subject, seed)
        if subject.joins:
            matrix |= joined(rows, subject.image_shape)
        ratio = illegal / legal if legal else np.inf
        far = f", at most {ratio:.1g} of the largest legal change" if illegal and legal else ""
        self._add(name, rows, matrix, tried, far)

    def _seen_to_leak(self, illegal: float, legal: float, subject: Subject, seed: int | None) -> None:
        share = illegal / legal if legal else np.inf
        first = self.leaking is None
        if first or self.illegal <= subject.rounding < share:  # what is more than rounding tells more
            self.leaking = (subject, seed)
        self.illegal = max(self.illegal, share)
        if first and subject.size > ALL and console.stderr.isatty():
            print(f"{subject.name}: leaks; explaining ...", file=console.stderr)

    def _add(self, name: str, rows: np.ndarray, matrix: np.ndarray, tried: str, far: str = "") -> None:
        """Add what a witness found, the dependencies of some outputs, with a line on what it did."""
        for place, row in zip(rows.tolist(), matrix, strict=True):
            self._found(place, row)
        late = int((matrix & ~earlier(self.subject.order, rows)).sum())
        self.witnesses.append(Witness(name, not late, f"{tried}: {late:,} leaks{far}"))

    def _found(self, place: int, row: np.ndarray) -> None:
        self.found[place] = self.found[place] | row if place in self.found else row

    def _ask(self, name: str, question: Callable[[], None]) -> None:
        """Ask a witness. If the user's model raises an error meanwhile, the witness reports that."""
        if isinstance(self.subject, OfModel):
            question()
            return
        try:
            question()
        except Exception as error:
            said = " ".join(str(error).split())
            self.witnesses.append(Witness(name, None, f"could not be asked: {said:.300}"))

    @staticmethod
    def _images(n: int) -> str:
        return f"{n} image{'s' * (n > 1)}"
