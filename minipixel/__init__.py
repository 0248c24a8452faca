"""minipixel: the PixelCNN / PixelRNN family from scratch on NumPy, readable and provably causal."""

from minipixel import (
    _started,  # noqa: F401  first, so that Ctrl-C while the command is still being imported leaves no traceback
    clock,
    datasets,
    distributions,
    kernels,
    models,
    nn,
    ops,
    optim,
    plots,
)
from minipixel.causality import assert_causal, check_causality
from minipixel.errors import CausalityError, FormatError, NonFiniteError
from minipixel.gradcheck import gradcheck, gradcheck_model
from minipixel.models import load
from minipixel.tensor import Tensor, no_grad, op
from minipixel.training import History, callbacks, fit, fit_embedding

__version__ = "0.1.0"

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
    "kernels",
    "load",
    "models",
    "nn",
    "no_grad",
    "op",
    "ops",
    "optim",
    "plots",
]
