"""How many launches, at the most, things take on a device, counted on the stand-in: a bound is what was counted once.

A number that must rise needs a reason; one that falls should be written down.
"""

OPS = {  # of the largest row of each op in op_table.py, forward and back
    **{"add": 3, "multiply": 4, "power": 4, "exp": 2, "log": 2, "tanh": 4, "sigmoid": 10, "relu": 3, "prelu": 8},
    **{"dropout": 4, "gate": 18, "total": 2, "mean": 3, "one_hot": 4, "embedding": 8, "linear": 7, "conv2d": 58},
    **{"transposed_conv2d": 26, "weight_norm": 14, "elu": 6, "gelu": 22, "concat_elu": 15, "linear_gate": 14},
    **{"softmax": 9, "layer_norm": 21, "concat": 1, "skew": 7, "unskew": 9, "mirror": 0, "shift_down": 4},
    **{"shift_right": 4, "subsample": 2, "overlay": 4, "add_column": 2, "drop_column": 2, "lstm_scan": 291},
    **{"bernoulli_log_prob": 17, "categorical_log_prob": 13, "logistic_mixture_log_prob": 164},
    **{"normal_mixture_log_prob": 222, "flatten": 1, "unit": 13, "triplet_loss": 33},
}
UPLOADS_OF_OPS = {"dropout": 1, "linear": 2, "conv2d": 3, "weight_norm": 2, "lstm_scan": 7, "triplet_loss": 3}
"""Copies to the device: masks, taps and what else is fixed; images of an op of a head are one copy."""

AS_WRITTEN = {  # of a model of model_table.py, or of one of its variants: loss and gradients
    **{"pixelcnn": 362, "row-lstm": 509, "diagonal-bilstm": 1241, "gated": 415, "pixelcnnpp": 1738, "multi-scale": 562},
    **{"prelu": 223, "dropout": 181, "wider-kernels": 198, "three-levels": 2857, "plain-weights": 366},
    **{"of-pixelcnns": 286, "of-bilstms": 1284, "factor-4": 363, "3-scales": 716, "of-one-hot": 182},
    **{"of-embeddings": 253, "scales-of-one-hot": 375, "from-learned-states": 394, "both-from-learned-states": 805},
}
IN_GRAPHS = {  # of its plan
    **{"pixelcnn": 102, "row-lstm": 90, "diagonal-bilstm": 132, "gated": 116, "pixelcnnpp": 482, "multi-scale": 157},
    **{"prelu": 130, "dropout": 102, "wider-kernels": 102, "three-levels": 773, "plain-weights": 218},
    **{"of-pixelcnns": 170, "of-bilstms": 204, "factor-4": 156, "3-scales": 248, "of-one-hot": 101},
    **{"of-embeddings": 127, "scales-of-one-hot": 153, "from-learned-states": 109, "both-from-learned-states": 160},
}
BESIDE_GRAPHS = {"bernoulli": 38, "categorical": 34, "logistic_mixture": 171, "normal_mixture": 226}
"""Of a plan's pass with a head, which is no part of the plan."""
