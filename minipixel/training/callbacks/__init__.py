"""What may watch training, and what it may change."""

from minipixel.training.callbacks.callback import Callback
from minipixel.training.callbacks.ema import EMA
from minipixel.training.callbacks.learning_rate import LearningRate
from minipixel.training.callbacks.model_checkpoint import ModelCheckpoint
from minipixel.training.callbacks.progress import Progress

__all__ = ["EMA", "Callback", "LearningRate", "ModelCheckpoint", "Progress"]
