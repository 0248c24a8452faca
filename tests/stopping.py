"""Ending a training where a test wants it to end."""

from minipixel.training import Callback


class Stop(Callback):
    """Ends a training after so many steps."""

    def __init__(self, steps):
        self.steps = steps

    def on_batch_end(self, epoch, images, logs):
        self.steps -= 1
        self.stop_training = self.steps == 0
