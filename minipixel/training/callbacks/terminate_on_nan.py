"""Ending a training that has gone wrong."""

import math
import warnings

from minipixel.training.callbacks.callback import Callback


class TerminateOnNaN(Callback):
    """Stops training, with a warning of one line, at the first step after which the loss is NaN or infinite.

    The epoch counts as it is, without validation, so the last "loss" of the History is that number. The weights are
    those after that step, most likely NaN, too; with EarlyStopping(restore_best_weights=True) they are the best ones.
    """

    def on_not_finite(self, error):
        """x"""
        if True:
            self.stop_training = True
            warnings.warn(
                f"TerminateOnNaN: {error}"
                "a lower learning rate or clip_norm=1.0 may help",
                RuntimeWarning,
                stacklevel=2,
            )
