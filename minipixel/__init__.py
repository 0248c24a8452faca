"""minipixel: the PixelCNN / PixelRNN family from scratch on NumPy, readable and provably causal."""

from typing import TYPE_CHECKING, NoReturn

from minipixel import (
    _started,  # noqa: F401  first, so that Ctrl-C while the command is still being imported leaves no traceback
    clock,
    datasets,
    distributions,
    interop,
    kernels,
    models,
    nn,
    ops,
    optim,
    plots,
    ranks,
)
from minipixel.causality import assert_causal, check_causality
from minipixel.datasets import save_pictures
from minipixel.errors import CausalityError, FormatError, NonFiniteError
from minipixel.gradcheck import gradcheck, gradcheck_model
from minipixel.models import load
from minipixel.oddness import oddness
from minipixel.spelling import did_you_mean
from minipixel.tensor import Tensor, no_grad, op
from minipixel.training import History, callbacks, fit, fit_embedding

if not TYPE_CHECKING:  # to a type checker a name that is not there is not there

    def __getattr__(name: str) -> NoReturn:
        """Raise AttributeError for an unknown name, with its place if a part of the library has it."""
        parts = (models, optim, callbacks, datasets, distributions, interop, nn, ops, plots, clock, ranks)
        where = next((part.__name__.rpartition(".")[2] for part in parts if name in getattr(part, "__all__", ())), None)
        hint = f"; it is mp.{where}.{name}" if where and not name.startswith("_") else did_you_mean(name, __all__)
        raise AttributeError(f"module 'minipixel' has no {name!r}{hint}", name=name)


__version__ = "0.2.0"

__all__ = [
    "CausalityError",
    "FormatError",
    "History",
    "NonFiniteError",
    "Tensor",
    "assert_causal",
    "callbacks",
    "check_causality",
    "clock",
    "datasets",
    "distributions",
    "fit",
    "fit_embedding",
    "gradcheck",
    "gradcheck_model",
    "interop",
    "kernels",
    "load",
    "models",
    "nn",
    "no_grad",
    "oddness",
    "op",
    "ops",
    "optim",
    "plots",
    "ranks",
    "save_pictures",
]
