"""Weights from PyTorch and back, a forward pass as an ONNX file. Neither is imported before it is needed."""

from minipixel.interop.onnx_export import to_onnx
from minipixel.interop.onnx_rows import ROWS
from minipixel.interop.torch_weights import Theirs, from_torch, to_torch

__all__ = ["ROWS", "Theirs", "from_torch", "to_onnx", "to_torch"]
