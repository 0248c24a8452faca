"""Training: the loop, what watches it, and what it remembers."""

from minipixel.training.callbacks import (
    EMA,
    Callback,
    CSVLogger,
    EarlyStopping,
    LearningRate,
    Progress,
    SampleImages,
    TensorBoard,
    TerminateOnNaN,
)
from minipixel.training.fit import Interrupted, fit
from minipixel.training.fit_embedding import fit_embedding
from minipixel.training.history import History

__all__ = [
    "EMA",
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "History",
    "Interrupted",
    "LearningRate",
    "Progress",
    "SampleImages",
    "TensorBoard",
    "TerminateOnNaN",
    "fit",
    "fit_embedding",
]
