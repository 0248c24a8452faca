"""The ops that the samplers' machine knows, and the columns of its tables: plain numbers, which need no compiler."""

OPS = (
    *("linear", "add", "relu", "prelu", "elu", "concat_elu", "gate", "linear_gate", "concat", "lstm_scan", "tanh"),
    *("sigmoid", "gelu", "softmax", "layer_norm", "one_hot", "embedding", "lookup"),
)
# fmt: off
(LINEAR, ADD, RELU, PRELU, ELU, CONCAT_ELU, GATE, LINEAR_GATE, CONCAT, LSTM, TANH, SIGMOID, GELU, SOFTMAX, LAYER_NORM,
 ONE_HOT, EMBEDDING,
 LOOKUP,  # a linear op of one-hot levels
 ) = range(len(OPS))
# fmt: on

# The columns of a step: its moment, its unit and pixels, as in Schedule; then where its inputs and its output stand
# side by side, in numbers per image, or -1 where they have to be gathered, or scattered.
MOMENT, UNIT, FIRST, LAST, AT_A, AT_B, AT_Y = range(7)
STEP = 7

# The columns of a unit's row. Bases count numbers per image; others are places in `ints` and `weights`, -1 for none.
# OF_COLOUR is how many channels a colour has, and EPSILON the place of that number, of ops that read those together.
(OP, BASE, K_NODE, COUNT, COLUMNS, TO, WEIGHT, BIAS, CELLS, OWN, OWN_T, ABOVE, OF_COLOUR, EPSILON, READS_A) = range(15)
READ_BASE, READ_K, READ_T, READ_INDEX, READ_PICK, READ_WIDTH = range(6)  # from READS_A on, and again for a second input
READS_B = READS_A + 6
LEVELS = READS_B + 6
ROW = LEVELS + 1

HEADS = ("bernoulli", "categorical", "logistic_mixture", "normal_mixture")
BERNOULLI, CATEGORICAL, LOGISTIC, NORMAL = range(len(HEADS))
