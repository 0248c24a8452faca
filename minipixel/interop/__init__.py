"""Weights from PyTorch and back, a forward pass as an ONNX file. Neither library is imported before it is needed."""

from minipixel.interop.torch_weights import Theirs, from_torch, to_torch

__all__ = ["Theirs", "from_torch", "to_torch"]
