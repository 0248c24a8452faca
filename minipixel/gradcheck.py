"""Checks of gradients: each is compared with a numerical derivative of the function itself."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minipixel.backend import beside
from minipixel.randomness import generator as random_generator
from minipixel.shown import short
from minipixel.spelling import spelled
from minipixel.tensor import Tensor, gradients

TOLERANCE = {"complex": 1e-10, "central": 1e-6}


def gradcheck(
    function: Callable[..., Tensor],
    *inputs: Any,
    method: str = "complex",
    directions: int | None = None,
    tolerance: float | None = None,
    rng: Any = 0,
) -> float:
    """The worst relative error of the gradients of `function(*inputs)`; raises AssertionError above `tolerance`.

    `inputs` are float64 arrays. The output is reduced to one number by random weights. Then every element of every
    input is changed a little, or with `directions=k` all elements together, along k random directions (for whole
    models). method="complex" takes a complex step of 1e-30 i, which is exact to rounding if the function is analytic
    and computes on complex arrays (Squire and Trapp 1998). method="central" takes the difference of two steps of 1e-6.
    Errors are relative to the larger of the gradient and the mean size of the gradients of that input. The default
    tolerances are 1e-10 for "complex" and 1e-6 for "central".
    """
    _check_method(method)
    limit = TOLERANCE[method] if tolerance is None else tolerance
    generator = random_generator(rng)
    arrays = [np.asarray(x, np.float64) for x in inputs]
    tensors = [Tensor(x) for x in arrays]
    output = function(*tensors)
    weights = generator.standard_normal(output.shape)
    found = gradients(output, tensors, weights)

    def slope(nudges: list[Any]) -> float:
        """The derivative of the weighted output along `nudges`, which has one array (or 0) per input."""
        if method == "complex":
            nudged = function(*[Tensor(x + 1e-30j * v) for x, v in zip(arrays, nudges, strict=True)])
            return float((weights * nudged.data.imag).sum() / 1e-30)
        ahead, behind = (
            function(*[Tensor(x + h * v) for x, v in zip(arrays, nudges, strict=True)]).data for h in (1e-6, -1e-6)
        )
        return float((weights * (ahead - behind)).sum() / 2e-6)

    worst = 0.0
    for position, (x, gradient) in enumerate(zip(arrays, found, strict=True)):
        if gradient is None:
            raise AssertionError(
                f"gradcheck: got no gradient for input {position}, wanted shape {x.shape}; is it used?"
            )
        scale = float(np.abs(gradient).mean())
        for where, nudge in _nudges(x, directions, generator):
            wanted = slope([nudge if i == position else 0.0 for i in range(len(arrays))])
            got = float((gradient * nudge).sum())
            error = abs(got - wanted) / max(abs(wanted), scale, 1e-300)
            if not error <= limit:
                raise AssertionError(
                    f"gradcheck: input {position} {where}: the vjp says {got:.12g}, the {method} step says "
                    f"{wanted:.12g}, a relative error of {error:.1e} (wanted at most {limit:.0e})"
                )
            worst = max(worst, error)
    return worst


def _nudges(x: np.ndarray, directions: int | None, generator: np.random.Generator) -> Any:
    """Pairs of a name and a change of x: each element alone, or a number of random directions."""
    if directions is None:
        for index in np.ndindex(x.shape):
            nudge = np.zeros_like(x)
            nudge[index] = 1.0
            yield f"at {index}", nudge
    else:
        for number in range(directions):
            yield f"along direction {number}", generator.standard_normal(x.shape)


@spelled
def gradcheck_model(
    model: Any,
    images: Any,
    condition: Any = None,
    *,
    method: str = "complex",
    directions: int = 3,
    tolerance: float = 1e-7,
    rng: Any = 0,
) -> float:
    """The worst relative error of d loss / d weights of a float64 model along random directions, all weights at once.

    The derivative along a direction is a complex step through the whole forward pass. method="central" takes two real
    steps of 1e-6, for models with a part that cannot compute complex numbers. Raises AssertionError above `tolerance`.
    """
    _check_method(method)
    generator = random_generator(rng)
    parameters = model.parameters()
    found = gradients(model.loss(images, condition), parameters)
    kept = [parameter.data for parameter in parameters]
    worst = 0.0

    def loss_at(step: complex, nudges: list[np.ndarray]) -> Any:
        for parameter, data, nudge in zip(parameters, kept, nudges, strict=True):
            parameter.data = data + step * nudge
        return model.loss(images, condition).data

    try:
        for number in range(directions):
            nudges = [beside(generator.standard_normal(data.shape), data) for data in kept]
            if method == "complex":
                wanted = float(loss_at(1e-30j, nudges).imag / 1e-30)
            else:
                wanted = float((loss_at(1e-6, nudges) - loss_at(-1e-6, nudges)) / 2e-6)
            got = float(sum((g * v).sum() for g, v in zip(found, nudges, strict=True)))
            error = abs(got - wanted) / abs(wanted)
            if not error <= tolerance:
                raise AssertionError(
                    f"gradcheck: the weights along direction {number}: backward says {got:.12g}, the {method} step "
                    f"says {wanted:.12g}, a relative error of {error:.1e} (wanted at most {tolerance:.0e})"
                )
            worst = max(worst, error)
    finally:
        for parameter, data in zip(parameters, kept, strict=True):
            parameter.data = data
    return worst


def _check_method(method: str) -> None:
    if method not in TOLERANCE:
        raise ValueError(f"method: got {short(method)}, wanted 'complex' or 'central'")
