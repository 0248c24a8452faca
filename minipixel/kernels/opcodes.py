"""The instructions that the walker knows, and the columns of a table: plain numbers, which need no compiler.

An instruction computes one row of pixels of a map. Most read A and write B; adjoints, whose names end in _X and _W,
take a gradient back: _X to what was read, _W to the weight it met.
"""

# fmt: off
(ZERO, FILL, ADDBIAS, BIASRELU, MOVE, ADDROW, MATMUL, TAPS, LAID, LOOKUP,
 RELU, PRELU, ELU, CONCAT_ELU, GATE, LINEAR_GATE, FACTORS, PART, TANH, SIGMOID, EXP, LOG, POWER, SCALE, MULTIPLY,
 GELU, SOFTMAX, LAYER_NORM, DROPOUT, CELLS,
 SUMS, MOVE_X, MATMUL_W, TAPS_W, TAPS_X, LAID_W, LOOKUP_W,
 RELU_X, PRELU_X, ELU_X, CONCAT_ELU_X, GATE_X, LINEAR_GATE_X, PART_X, TANH_X, SIGMOID_X, EXP_X, LOG_X, POWER_X,
 GELU_X, SOFTMAX_X, LAYER_NORM_X, SCALE_X, CELLS_X) = range(54)
# fmt: on
OPCODES = {name: number for name, number in list(globals().items()) if name.isupper() and type(number) is int}

OP, LEAD, STARTS, FLAG, W, L, RUNS, T, X, A, B, C, D = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 17, 21
COLUMNS = 25
"""A row: its opcode; how many rows ahead it goes on the way back; where the starts of its steps stand; a flag; the
place and the length of its weights; where its runs stand; how many taps; a number of its own; and four operands, each
with its place, how many steps of it are kept (0: all), the width of a step, and its channels."""

TAP, OUT, OUT_STEP, IN_ROW, IN, IN_SLOT, IN_STEP, COUNT = range(8)
"""A run of pixels that a tap reads: from `OUT` in the reader's row on, `OUT_STEP` apart, they see the pixels from `IN`
in step `IN_ROW` of what is read (which is slot `IN_SLOT`), `IN_STEP` apart, `COUNT` in all."""

LANES = 16
"""The cells of an LSTM keep their gates o, f, i and g of so many channels together, then those of the next ones."""
