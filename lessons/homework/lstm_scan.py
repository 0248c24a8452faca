"""Homework: a Row LSTM that reads an image row by row, and a step of it backwards.

It belongs to lesson 13 (an LSTM step, then a whole row). Fill in each function that raises NotImplementedError, about
30 lines in all, in NumPy alone. Keep all names, arguments and shapes, since the tests call them.

Feature maps are arrays (H, W, N, K), as in lesson 13: H rows, W columns, N images, K units. Each pixel has a cell of K
units. The 4K pre-activations of a cell stand in the order o, f, i, g: K for the output gates, K for the forget gates,
K for the input gates, and K for the values to write.
"""

import numpy as np


def step(z, m_before):
    """One step of K units: pre-activations (..., 4K), memories (..., K) -> states h (..., K), memories m (..., K).

    The memory becomes f * m_before + i * g, and the state is o * tanh(m).
    """
    raise NotImplementedError


def input_to_state(image, weight):
    """The share of the image in the pre-activations: (H, W, N, C), (3, C, 4K) -> (H, W, N, 4K).

    Each cell reads the image in its own row. The three taps of the weight are at the column offsets -1, 0 and 1. This
    layer reads the image itself, so mask A decides which of the taps are open. Beyond the border the image is zero.
    """
    raise NotImplementedError


def row_scan(z, weight):
    """The states of all cells, row after row: (H, W, N, 4K), (3, K, 4K) -> (H, W, N, K).

    The pre-activations of a cell are those in z, plus the states of three cells of the row above, at the column
    offsets -1, 0 and 1, each multiplied by its own matrix of `weight`. The memory before the step is that of the cell
    straight above. Above the first row, and beyond the border, all states and memories are zero.
    """
    raise NotImplementedError


def step_backward(z, m_before, h_gradient, m_gradient):
    """The gradients of `step`: (..., 4K) and three times (..., K) -> of z (..., 4K), and of m_before (..., K).

    `h_gradient` and `m_gradient` are the gradients of some loss with respect to the state and the memory that `step`
    returns.
    """
    raise NotImplementedError
