"""Mistakes that students make in this homework: a phrase of what they then read, and changes of right.py."""

MISTAKES = {
    "blue_first": ("The colours are in the wrong order", [("is_read < reads", "is_read > reads")]),
    "a_and_b_exchanged": ("Masks A and B are exchanged", [('kind == "B" and', 'kind == "A" and')]),
    "centre_shut": ("The centre is shut to all colours", [("= 1\n    return mask", "= 0\n    return mask")]),
    "centre_open": ("The centre is open to all colours", [("if is_read < reads or", "if True or")]),
    "ordered_at_all_taps": (
        "earlier pixels are known in all their colours",
        [("    return mask\n", "    return mask * mask[centre, centre]\n")],
    ),
    "thirds": ("split into three blocks", [("return np.arange(K) % C", "return np.sort(np.arange(K) % C)")]),
    "gate_dealt_out": (
        "The gate multiplies channels of different colours",
        [("return np.concatenate([groups, groups])", "return np.arange(2 * len(groups)) % 3")],
    ),
    "logits_in_turn": ("take turns in the logits", [("np.repeat(np.arange(C), Q)", "np.tile(np.arange(C), Q)")]),
    "first_layer_b": ('The first layer has mask "B"', [('("A", 3, image', '("B", 3, image')]),
    "last_layer_without_mask": (
        "The last layer has no mask",
        [('ColourConv2d("B", 1, features, logit', 'ColourConv2d("B", 1, 0 * features, logit')],
    ),
    "first_layer_red": (
        "no colour learns of its own pixel",
        [('"A", 3, image, features', '"A", 3, 0 * image, 0 * features')],
    ),
    "softmax_of_turns": (
        "The logits are read as if the colours took turns",
        [("logits.reshape(H, W, N, C, -1)", "logits.reshape(H, W, N, -1, C).swapaxes(-1, -2)")],
    ),
    "overflow": ("The exponential overflows", [("    each = each - each.max(axis=-1, keepdims=True)\n", "")]),
}
