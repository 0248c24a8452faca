"""Ending a training that has gone wrong."""

from minipixel import console
from minipixel.errors import NonFiniteError
from minipixel.training.callbacks.callback import Callback


class TerminateOnNaN(Callback):
    """Ends training, with a warning of one line, at a loss or gradient that is not finite; else `fit` raises there.

    That step is not taken, so the weights are those from before it; with EarlyStopping(restore_best_weights=True) they
    are the best ones. The epoch counts as far as it came, without validation.
    """

    def on_not_finite(self, error: NonFiniteError) -> None:
        """Stop, and say why."""
        self.stop_training = True
        console.warn(f"TerminateOnNaN: training stops; {error}", RuntimeWarning, stacklevel=2)
