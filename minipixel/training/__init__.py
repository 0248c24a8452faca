"""Training: the loop, what watches it, and what it remembers."""

from minipixel.training.callbacks import Callback, Progress
from minipixel.training.fit import Interrupted, fit
from minipixel.training.history import History

__all__ = ["Callback", "History", "Interrupted", "Progress", "fit"]
