"""The models of the family, an embedding network, trained models that come with the library, and `load` for files."""

from minipixel.models.base import Model
from minipixel.models.embedding import EmbeddingNet
from minipixel.models.gated_pixelcnn import GatedPixelCNN
from minipixel.models.loading import MODELS, load
from minipixel.models.multiscale import MultiScale
from minipixel.models.pixelcnn import PixelCNN
from minipixel.models.pixelcnnpp import PixelCNNpp
from minipixel.models.pixelrnn import DiagonalBiLSTM, RowLSTM
from minipixel.models.pretrained import Card, cards, pretrained

__all__ = [
    "MODELS",
    "Card",
    "DiagonalBiLSTM",
    "EmbeddingNet",
    "GatedPixelCNN",
    "Model",
    "MultiScale",
    "PixelCNN",
    "PixelCNNpp",
    "RowLSTM",
    "cards",
    "load",
    "pretrained",
]
