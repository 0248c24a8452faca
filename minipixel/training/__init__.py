"""Training: the loop, what watches it, and what it remembers."""

from minipixel.training.callbacks import EMA, Callback, LearningRate, Progress
from minipixel.training.fit import Interrupted, fit
from minipixel.training.fit_embedding import fit_embedding
from minipixel.training.history import History

__all__ = ["EMA", "Callback", "History", "Interrupted", "LearningRate", "Progress", "fit", "fit_embedding"]
