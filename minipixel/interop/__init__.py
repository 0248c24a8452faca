"""Weights from and to PyTorch, and forward passes as ONNX files. Neither library is imported before it is needed."""

from minipixel.interop.onnx_export import to_onnx
from minipixel.interop.onnx_rows import ROWS
from minipixel.interop.torch_weights import Theirs, from_torch, to_torch

__all__ = ["ROWS", "Theirs", "from_torch", "to_onnx", "to_torch"]
