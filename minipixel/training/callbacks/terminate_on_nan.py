"""TerminateOnNaN: ends a training whose numbers are no longer finite."""

from minipixel import console
from minipixel.errors import NonFiniteError
from minipixel.training.callbacks.callback import Callback


class TerminateOnNaN(Callback):
    """Ends training with a warning when a loss or a gradient is not finite; without it `fit` raises NonFiniteError.

    The step is not taken, so the model has the weights from before it, or the best ones with
    EarlyStopping(restore_best_weights=True). The History has the unfinished epoch, without validation.
    """

    def on_not_finite(self, error: NonFiniteError) -> None:
        """Stop, and say why."""
        self.stop_training = True
        console.warn(f"TerminateOnNaN: training stops; {error}", RuntimeWarning, stacklevel=2)
