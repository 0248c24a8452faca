"""What the hidden tests share: they call a part of a submission, compare, and refuse it in a sentence that helps."""

import itertools
import traceback
from dataclasses import dataclass

import numpy as np
import pytest

import minipixel as mp


@dataclass(frozen=True)
class Part:
    """A part of a homework: the name of its function or class, and the lesson and section that explain it."""

    name: str
    lesson: str
    section: str

    def refuse(self, what):
        """Fail the test: what is wrong, where to look, which lesson says it."""
        __tracebackhide__ = True
        pytest.fail(f'{what}. Look at {self.name}; lesson {self.lesson}, "{self.section}".', pytrace=False)

    def of(self, homework):
        """The part of a submission, as something to call that refuses the submission where it raises an error."""
        function = homework
        for name in self.name.split("."):
            function = getattr(function, name, None)
        if not callable(function):
            self.refuse(f"The file has no {self.name}; keep all names of the stub")
        return lambda *arguments: self.call(function, *arguments)

    def call(self, function, *arguments):
        """The result of a function of the submission, or a refusal that says what it raised, and in which line."""
        own = [value.copy() if isinstance(value, np.ndarray) else value for value in arguments]  # it may write to these
        try:
            return function(*own)
        except NotImplementedError as error:
            self.refuse(f"{_place_of(error)[0] or self.name} is not written yet")
        except (Exception, SystemExit) as error:
            name, line = _place_of(error)
            first_line = str(error).partition("\n")[0]
            in_line = f" in line {line}" if name else ""
            self.refuse(f"{name or self.name} raises {type(error).__name__}{in_line}: {first_line}")

    def array(self, value, shape, nan=False):
        """The numbers of an array or a Tensor of that shape; a refusal for anything else, and for NaN unless `nan`."""
        data = getattr(value, "data", None) if isinstance(value, mp.Tensor) else value
        if not isinstance(data, (np.ndarray, np.generic, float, int, list, tuple)):
            self.refuse(f"The result is a {type(value).__name__}, wanted an array of shape {shape}")
        try:
            data = np.array(data, dtype=float)
        except ValueError:
            self.refuse(f"The result cannot be read as an array of numbers, wanted one of shape {shape}")
        if data.shape != shape:
            self.refuse(f"The result has the shape {data.shape}, wanted {shape}, as the docstring says")
        if np.isnan(data).any() and not nan:
            self.refuse("The result has NaN in it: somewhere 0 / 0, or infinity minus infinity, was computed")
        return data

    def pair(self, value, of_what):
        """A result that is to be a pair, or a refusal."""
        if not isinstance(value, (tuple, list)) or len(value) != 2:
            self.refuse(f"The result is no pair; wanted {of_what}")
        return value

    def noise(self, model, weight, wanted):
        """The network of a submission, noise in all weights: whatever was done to them once, and for all, is gone.

        It is refused unless it is a module whose list `layers` has the layers that are `wanted`: the shapes of that
        `weight` of each.
        """
        layers = getattr(model, "layers", None)
        if not isinstance(model, mp.nn.Module) or not isinstance(layers, list):
            self.refuse(f"self.layers is a {type(layers).__name__}, wanted a list in an mp.nn.Module")
        shapes = [getattr(getattr(layer, weight, None), "shape", None) for layer in layers]
        if shapes != wanted:
            self.refuse(f"The layers in self.layers have {weight}s of the shapes {shapes}, wanted {wanted}")
        return overwrite(model)

    def same(self, value, wanted, mistakes, otherwise):
        """Refuse what differs from `wanted`, and name the mistake if the result is just what a usual one gives.

        `mistakes` is a dict: a sentence about a mistake -> the result that it leads to, or a list of several.
        """
        wanted = np.asarray(wanted, float)
        got = self.array(value, wanted.shape, nan=True)
        if close(got, wanted):
            return
        for cause, results in mistakes.items():
            if any(close(got, result) for result in (results if isinstance(results, list) else [results])):
                self.refuse(cause)
        place = tuple(int(i) for i in np.argwhere(~np.isclose(got, wanted, rtol=1e-6, atol=1e-9))[0])
        at = f"at {place if len(place) > 1 else place[0]} " if place else ""
        self.refuse(f"{otherwise}: {at}it is {got[place]:.6g}, wanted {wanted[place]:.6g}")

    def causal(self, function, image_shape, inputs=("float64", 0, 1)):
        """Refuse a function (N, H, W, C) -> (N, H, W, P) that leaks."""
        report = mp.check_causality(function, image_shape, inputs=inputs)
        if report.undecided:
            self.refuse("It reads nothing: whatever pixel of the image is changed, no output moves")
        if not report.ok:
            self.refuse(f"It leaks: {report.why}")

    def sees_as_much(self, function, reference, image_shape, inputs=("float64", 0, 1)):
        """Refuse a function that is blind to an earlier sub-pixel which the reference sees."""
        report = mp.check_causality(function, image_shape, inputs=inputs)
        seen = mp.check_causality(reference, image_shape, inputs=inputs).dependencies
        missed = [pair for pair in report.blind if seen[tuple(np.ravel_multi_index(pair.T, image_shape))]]
        if missed:
            output, earlier = (report.describe(position) for position in missed[0])
            self.refuse(
                f"It sees less than it may: the output of sub-pixel {output} never sees {earlier}, and our solution "
                f"does; {len(missed)} such pairs in all"
            )

    def sums_to_1(self, log_probs, of_what):
        """Refuse the log-probabilities of all images that there are, if the probabilities do not sum to 1."""
        sum_of_all = np.exp(log_probs).sum()
        if not abs(sum_of_all - 1) < 1e-9:
            self.refuse(f"The probabilities of all {len(log_probs)} {of_what} sum to {sum_of_all:.6g}, wanted 1")


def close(a, b):
    """Whether two arrays are equal but for rounding; two infinities of the same sign are equal, too."""
    return np.allclose(a, b, rtol=1e-6, atol=1e-9, equal_nan=True)


def every_image(levels, shape):
    """All images of a shape, in the layout of the lessons: (H, W, C) -> (H, W, N, C), N = levels ** (H * W * C)."""
    H, W, C = shape
    values = np.array(list(itertools.product(range(levels), repeat=H * W * C)))
    return values.reshape(-1, H, W, C).transpose(1, 2, 0, 3)


def channels_last(function):
    """A function on maps (H, W, N, C) as one on images (N, H, W, C), the layout that minipixel's checks want."""

    def on_images(images):
        result = function(images.transpose(1, 2, 0, 3))
        return np.asarray(getattr(result, "data", result)).transpose(2, 0, 1, 3)

    return on_images


def overwrite(module, seed=1):
    """Write noise into all weights of a module."""
    rng = np.random.default_rng(seed)
    for parameter in module.parameters():
        parameter.data = rng.normal(size=parameter.shape) / 2
    return module


def _place_of(error):
    """The last line of the submission that an error came through: the name of its function, and its number."""
    frames = traceback.walk_tb(error.__traceback__)
    of_submission = [(f.f_code.co_qualname, line) for f, line in frames if f.f_globals.get("__name__") == "homework"]
    return of_submission[-1] if of_submission else ("", 0)
