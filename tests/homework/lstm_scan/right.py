"""Homework: a Row LSTM that reads an image row by row, and a step of it backwards.

It belongs to lesson 13 (an LSTM step, then a whole row). Fill in each function that raises NotImplementedError, about
30 lines in all, in NumPy alone. Keep all names, arguments and shapes, since the tests call them.

Feature maps are arrays (H, W, N, K), as in lesson 13: H rows, W columns, N images, K units. Each pixel has a cell of K
units. The 4K pre-activations of a cell stand in the order o, f, i, g: K for the output gates, K for the forget gates,
K for the input gates, and K for the values to write.
"""

import numpy as np


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def step(z, m_before):
    """One step of K units: pre-activations (..., 4K), memories (..., K) -> states h (..., K), memories m (..., K).

    The memory becomes f * m_before + i * g, and the state is o * tanh(m).
    """
    z_o, z_f, z_i, z_g = np.split(z, 4, axis=-1)
    m = sigmoid(z_f) * m_before + sigmoid(z_i) * np.tanh(z_g)
    h = sigmoid(z_o) * np.tanh(m)
    return h, m


def input_to_state(image, weight):
    """The share of the image in the pre-activations: (H, W, N, C), (3, C, 4K) -> (H, W, N, 4K).

    Each cell reads the image in its own row. The three taps of the weight are at the column offsets -1, 0 and 1. This
    layer reads the image itself, so mask A decides which of the taps are open. Beyond the border the image is zero.
    """
    z = np.zeros((*image.shape[:3], weight.shape[2]))
    z[:, 1:] = image[:, :-1] @ weight[0]
    return z


def row_scan(z, weight):
    """The states of all cells, row after row: (H, W, N, 4K), (3, K, 4K) -> (H, W, N, K).

    The pre-activations of a cell are those in z, plus the states of three cells of the row above, at the column
    offsets -1, 0 and 1, each multiplied by its own matrix of `weight`. The memory before the step is that of the cell
    straight above. Above the first row, and beyond the border, all states and memories are zero.
    """
    H, W, N, _ = z.shape
    K = weight.shape[1]
    states = np.zeros((H, W, N, K))
    h = np.zeros((W, N, K))
    m = np.zeros((W, N, K))
    for r in range(H):
        padded = np.pad(h, ((1, 1), (0, 0), (0, 0)))
        from_above = padded[:W] @ weight[0] + padded[1 : W + 1] @ weight[1] + padded[2:] @ weight[2]
        h, m = step(z[r] + from_above, m)
        states[r] = h
    return states


def step_backward(z, m_before, h_gradient, m_gradient):
    """The gradients of `step`: (..., 4K) and three times (..., K) -> of z (..., 4K), and of m_before (..., K).

    `h_gradient` and `m_gradient` are the gradients of some loss with respect to the state and the memory that `step`
    returns.
    """
    z_o, z_f, z_i, z_g = np.split(z, 4, axis=-1)
    o = sigmoid(z_o)
    f = sigmoid(z_f)
    i = sigmoid(z_i)
    g = np.tanh(z_g)
    tanh_m = np.tanh(f * m_before + i * g)
    memory = m_gradient + h_gradient * o * (1 - tanh_m**2)
    of_o = h_gradient * tanh_m * o * (1 - o)
    of_f = memory * m_before * f * (1 - f)
    of_i = memory * g * i * (1 - i)
    of_g = memory * i * (1 - g**2)
    return np.concatenate([of_o, of_f, of_i, of_g], axis=-1), memory * f
