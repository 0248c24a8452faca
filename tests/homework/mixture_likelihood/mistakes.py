"""Mistakes that students make in this homework: a phrase of what they then read, and changes of right.py."""

MISTAKES = {
    "log_sigmoid_overflows": ("The exponential overflows", [("-np.logaddexp(0, -z)", "-np.log(1 + np.exp(-z))")]),
    "edge_bins_forgotten": (
        "all that lies beyond belongs to them",
        [("    lower[levels == 0] = -np.inf\n    upper[levels == Q - 1] = np.inf\n", "")],
    ),
    "bins_too_narrow": ("The bins are too narrow", [("half = 1 / (Q - 1)", "half = 1 / Q")]),
    "scale_without_exp": (
        "The log-scale is taken for the scale",
        [
            ("(x - half - means) / np.exp(log_scales)", "(x - half - means) / log_scales"),
            ("(x + half - means) / np.exp(log_scales)", "(x + half - means) / log_scales"),
        ],
    ),
    "difference_underflows": (
        "underflows",
        [
            ("    width = upper - lower\n", "    mass = np.exp(log_sigmoid(upper)) - np.exp(log_sigmoid(lower))\n"),
            ("np.log(-np.expm1(-width)) + log_sigmoid(upper) + log_sigmoid(-lower)", "np.log(mass)"),
        ],
    ),
    "difference_clipped": (
        "is clipped",
        [
            ("    width = upper - lower\n", "    mass = np.exp(log_sigmoid(upper)) - np.exp(log_sigmoid(lower))\n"),
            ("np.log(-np.expm1(-width)) + log_sigmoid(upper) + log_sigmoid(-lower)", "np.log(np.maximum(mass, 1e-12))"),
        ],
    ),
    "width_loses_digits": ("loses its digits", [("np.log(-np.expm1(-width))", "np.log(1 - np.exp(-width))")]),
    "not_normalised": (
        "The logits are not normalised",
        [
            (
                "Q))\n    return log_sum_exp(logits + each) - log_sum_exp(logits)\n\n",
                "Q))\n    return log_sum_exp(logits + each)\n\n",
            )
        ],
    ),
    "logarithms_mixed": (
        "The logarithms are mixed",
        [
            (
                "Q))\n    return log_sum_exp(logits + each) - log_sum_exp(logits)\n\n",
                "Q))\n    w = np.exp(logits - log_sum_exp(logits)[:, None])\n    return (w * each).sum(axis=-1)\n\n",
            )
        ],
    ),
    "softmax_overflows": (
        "The softmax overflows",
        [("    largest = values.max(axis=-1)\n", "    largest = np.zeros(len(values))\n")],
    ),
    "a_choice_per_colour": (
        "Each colour chooses a component of its own",
        [
            (
                "log_mass(*bin_edges(pixels[:, k], means[:, k], log_scales[:, k], Q))\n"
                "    return log_sum_exp(logits + each) - log_sum_exp(logits)",
                "mixture_log_prob(pixels[:, k], logits, means[:, k], log_scales[:, k], Q)\n    return each",
            )
        ],
    ),
    "no_tanh": ("their tanh is missing", [("np.tanh(parameters[:, 7:10])", "parameters[:, 7:10]")]),
    "levels_for_places": ("wanted their places from -1 to 1", [("x = 2 * pixels / (Q - 1) - 1", "x = pixels")]),
    "blue_exchanged": (
        "c1 and c2 are exchanged",
        [("c[:, 1] * red + c[:, 2] * green", "c[:, 2] * red + c[:, 1] * green")],
    ),
}
