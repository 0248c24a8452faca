"""EMA: averaged weights, which vary less than those of the last step."""

from typing import Any

import numpy as np

from minipixel.backend import array_module, to_cpu
from minipixel.kernels.cuda import Kernels
from minipixel.nn.flat import Layout, distinct
from minipixel.optim.optimizer import check_fraction
from minipixel.training.callbacks.callback import Callback
from minipixel.training.checkpoints import whole


class EMA(Callback):
    """Averages the weights over all steps; the averages are validated, and after training they are the model's weights.

    It is an exponential moving average that begins with the first weights. After step t = 1, 2 ... it is
    average += (1 - d) * (weight - average) with d = min(decay, (1 + t) / (10 + t)). The second term of the minimum
    matters in short trainings, which would otherwise keep too much of the first weights (TensorFlow's
    ExponentialMovingAverage has it as well, if `num_updates` is passed). PixelCNN++ (arXiv:1701.05517) has the decay
    0.9995.

    The steps of training use their own weights. From `on_evaluation_begin` to `on_evaluation_end` the model has the
    averaged ones; `fit` calls this callback before all others, so those that save, draw or restore see averages. A
    checkpoint holds both kinds of weights, and `minipixel.load` gives the averaged ones.
    """

    def __init__(self, decay: float = 0.9995) -> None:
        check_fraction("decay", decay)
        self.decay = decay

    def on_train_begin(self, model: Any, images_in_all: int) -> None:
        """Start the average with the current weights."""
        self._parameters = distinct(model.named_parameters())
        weights = self._weights()
        self._layout = Layout.of(weights)
        self._average = self._layout.gather(weights)
        self._trained: list[Any] | None = None  # the weights of training, while the model has the averaged ones
        self._steps = 0

    def on_batch_end(self, epoch: int, images: int, logs: dict[str, float]) -> None:
        """Add the weights of one more step to the average."""
        self._steps += 1
        share = 1 - min(self.decay, (1 + self._steps) / (10 + self._steps))
        for weight, average in zip(self._layout.gather(self._weights()), self._average, strict=True):
            if array_module(average) is np:
                average += share * (weight - average)
            else:
                kernels = Kernels(array_module(average), str(average.dtype))
                kernels.each("average", average.size, average, weight, average.size, *kernels.real(share))()

    def on_evaluation_begin(self) -> None:
        """Give the model the averaged weights."""
        self._trained = self._weights()
        copies = [average.copy() for average in self._average]  # theirs to keep: the averages go on changing
        self._put(self._layout.views(copies))

    def on_evaluation_end(self) -> None:
        """Give the model the weights of training back."""
        assert self._trained is not None
        self._put(self._trained)
        self._trained = None

    def on_train_end(self) -> None:
        """Give the model the averaged weights for good."""
        self._put(self._layout.views(self._average))
        del self._parameters, self._layout, self._average, self._trained

    def state(self) -> dict[str, Any]:
        """The averaged weights, and over how many steps they were averaged."""
        averages = zip(self._parameters, self._layout.views(self._average), strict=True)
        return {"steps": self._steps, **{f"average/{name}": np.array(to_cpu(array)) for name, array in averages}}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from stored averages. Raises ValueError if their shapes are not those of the weights."""
        self._steps = whole(state["steps"])
        for name, average in zip(self._parameters, self._layout.views(self._average), strict=True):
            stored = state[f"average/{name}"]
            if stored.shape != average.shape:
                raise ValueError(f"average/{name}: got shape {stored.shape}, wanted {average.shape}")
            average[...] = array_module(average).asarray(stored)

    def _weights(self) -> list[Any]:
        return [parameter.data for parameter in self._parameters.values()]

    def _put(self, arrays: list[Any]) -> None:
        for parameter, array in zip(self._parameters.values(), arrays, strict=True):
            parameter.data = array
