"""Training: the training loops `fit` and `fit_embedding`, the callbacks, and the History that training returns."""

from minipixel.training.callbacks import (
    EMA,
    Callback,
    CSVLogger,
    EarlyStopping,
    LearningRate,
    ModelCheckpoint,
    Progress,
    SampleImages,
    TensorBoard,
    TerminateOnNaN,
)
from minipixel.training.fit import fit
from minipixel.training.fit_embedding import fit_embedding
from minipixel.training.history import History
from minipixel.training.interrupt import Interrupted

__all__ = [
    "EMA",
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "History",
    "Interrupted",
    "LearningRate",
    "ModelCheckpoint",
    "Progress",
    "SampleImages",
    "TensorBoard",
    "TerminateOnNaN",
    "fit",
    "fit_embedding",
]
