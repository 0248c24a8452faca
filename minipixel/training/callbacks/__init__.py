"""Callbacks: objects that `fit` calls after each step and each epoch, which report, save, stop or change training."""

from minipixel.training.callbacks.callback import Callback
from minipixel.training.callbacks.csv_logger import CSVLogger
from minipixel.training.callbacks.early_stopping import EarlyStopping
from minipixel.training.callbacks.ema import EMA
from minipixel.training.callbacks.learning_rate import LearningRate
from minipixel.training.callbacks.model_checkpoint import ModelCheckpoint
from minipixel.training.callbacks.progress import Progress
from minipixel.training.callbacks.sample_images import SampleImages
from minipixel.training.callbacks.tensorboard import TensorBoard
from minipixel.training.callbacks.terminate_on_nan import TerminateOnNaN

__all__ = [
    "EMA",
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "LearningRate",
    "ModelCheckpoint",
    "Progress",
    "SampleImages",
    "TensorBoard",
    "TerminateOnNaN",
]
