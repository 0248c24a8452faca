"""The convolutional half of the zoo: nets in PyTorch, right and leaky twins."""

from causality.zoo import torch_call_rows, torch_colour_rows, torch_grey_rows, torch_shift_rows

ROWS = (*torch_grey_rows.ROWS, *torch_shift_rows.ROWS, *torch_colour_rows.ROWS, *torch_call_rows.ROWS)
"""Animals, each with the reading by which its truth is proved."""
ANIMALS = tuple(animal for animal, _ in ROWS)
