"""Mistakes that students make in each homework, as changes of our solution, and a phrase of what they then read."""

MISTAKES = {
    "masked_convolution": {
        "a_and_b_exchanged": ({'if kind == "A" else': 'if kind == "B" else'}, "A and B are exchanged"),
        "off_by_one": ({"centre = size * size // 2": "centre = size * size // 2 + 1"}, "one tap too many is open"),
        "by_columns": ({"return opened[:": "return opened.T[:"}, "rows and columns are exchanged"),
        "inverted": (
            {"place < centre": "place >= centre", "place <= centre": "place > centre"},
            "open where it should",
        ),
        "mask_on_the_gradient_only": (
            {
                "self.weight * mask": "self.weight",
                "rate * parameter.grad": "rate * mask_of(self, parameter) * parameter.grad",
                "class PixelCNN": "def mask_of(model, parameter):\n"
                "    for layer in model.layers:\n"
                "        if layer.weight is parameter:\n"
                "            return make_mask(layer.kind, layer.size)\n"
                "    return 1\n\n\n"
                "class PixelCNN",
            },
            "applied to the gradient only",
        ),
        "weights_masked_in_place": (
            {
                "self.weight * mask": "self.weight",
                "        mask = make_mask(self.kind, self.size)\n": "        mask = make_mask(self.kind, self.size)\n"
                "        self.weight.data = self.weight.data * mask\n",
            },
            "The forward pass writes into the weights",
        ),
        "weights_masked_once": (
            {
                "self.weight * mask": "self.weight",
                "        self.bias = mp.nn": "        self.weight.data = self.weight.data * make_mask(kind, size)\n"
                "        self.bias = mp.nn",
            },
            "multiplied into the weights once",
        ),
        "no_mask": ({"self.weight * mask": "self.weight"}, "its kernel is not multiplied by the mask"),
        "all_b": ({'MaskedConv2d("A"': 'MaskedConv2d("B"'}, 'The first layer has mask "B"'),
        "all_a": (
            {
                "return mp.ops.conv2d(x, self.weight * mask": 'first = self.kind == "A"\n'
                '        mask = make_mask("A" if first or self.size == 3 else "B", self.size)\n'
                "        return mp.ops.conv2d(x, self.weight * mask"
            },
            "and uses the other one",
        ),
        "later_layers_a": ({'("B", K, 1, 1, rng)': '("A", K, 1, 1, rng)'}, 'Later layers have mask "A"'),
        "mean_over_pixels": (
            {"axes=(0, 1, 3))": "axes=(0, 1, 3)) / (images.shape[0] * images.shape[1])"},
            "The mean over the pixels",
        ),
        "ones_only": (
            {"mp.ops.log(mp.ops.sigmoid(self(images) * signs))": "mp.ops.log(mp.ops.sigmoid(self(images))) * images"},
            "pixels that are 0 are forgotten",
        ),
        "uphill": ({"parameter.data - rate": "parameter.data + rate"}, "goes uphill"),
        "shape_without_channels": (
            {"return opened[:, :, None, None].astype(float)": "return opened.astype(float)"},
            "has the shape (3, 3), wanted (3, 3, 1, 1)",
        ),
        "crash": (
            {"place = np.arange(size * size).reshape(size, size)": "place = np.arange(size * size).reshape(size, 4)"},
            "make_mask raises ValueError in line",
        ),
    },
    "colour_masks": {
        "blue_first": ({"is_read < reads": "is_read > reads"}, "The colours are in the wrong order"),
        "a_and_b_exchanged": ({'kind == "B" and': 'kind == "A" and'}, "Masks A and B are exchanged"),
        "centre_shut": ({"= 1\n    return mask": "= 0\n    return mask"}, "The centre is shut to all colours"),
        "centre_open": ({"if is_read < reads or": "if True or"}, "The centre is open to all colours"),
        "ordered_at_all_taps": (
            {"    return mask\n": "    return mask * mask[centre, centre]\n"},
            "earlier pixels are known in all their colours",
        ),
        "thirds": ({"return np.arange(K) % C": "return np.sort(np.arange(K) % C)"}, "cut into thirds"),
        "gate_dealt_out": (
            {"return np.concatenate([groups, groups])": "return np.arange(2 * len(groups)) % 3"},
            "The gate multiplies channels of different colours",
        ),
        "logits_in_turn": ({"np.repeat(np.arange(C), Q)": "np.tile(np.arange(C), Q)"}, "take turns among the colours"),
        "first_layer_b": ({'("A", 3, image': '("B", 3, image'}, 'The first layer has mask "B"'),
        "last_layer_without_mask": (
            {'ColourConv2d("B", 1, features, logit': 'ColourConv2d("B", 1, 0 * features, logit'},
            "The last layer has no mask",
        ),
        "first_layer_red": (
            {'"A", 3, image, features': '"A", 3, 0 * image, 0 * features'},
            "no colour learns of its own pixel",
        ),
        "softmax_of_turns": (
            {"logits.reshape(H, W, N, C, -1)": "logits.reshape(H, W, N, -1, C).swapaxes(-1, -2)"},
            "The logits are read in turn",
        ),
        "overflow": ({"    each = each - each.max(axis=-1, keepdims=True)\n": ""}, "The exponential overflows"),
    },
    "two_stacks": {
        "missing_shift": (
            {'mask[: size // 2] = 1\n    if kind == "B":\n        mask[size // 2] = 1': "mask[: size // 2 + 1] = 1"},
            "the link shows a pixel its own row",
        ),
        "shifted_twice": (
            {"mp.ops.linear(above, self.link": "mp.ops.linear(mp.ops.shift_down(above), self.link"},
            "the row above is lost",
        ),
        "vertical_looks_left_only": (
            {"        mask[size // 2] = 1": "        mask[size // 2, : size // 2 + 1] = 1"},
            "a blind spot remains",
        ),
        "horizontal_b_first": (
            {"mask[0, : size // 2] = 1": "mask[0, : size // 2 + 1] = 1"},
            "the centre is the pixel itself",
        ),
        "horizontal_to_the_right": (
            {"mask[0, : size // 2] = 1": "mask[0, -(size // 2) :] = 1"},
            "A horizontal mask is",
        ),
        "first_layer_adds_the_image": ({'        if self.kind == "B":\n': ""}, "The first layer adds its input"),
        "no_residual": (
            {'if self.kind == "B":\n            next_h': 'if self.kind == "C":\n            next_h'},
            "adds h",
        ),
        "no_link": ({"        row = row + mp.ops.linear(above, self.link, None)\n": ""}, "The link is missing"),
        "stacks_exchanged": ({"return next_v, next_h": "return next_h, next_v"}, "The two stacks are exchanged"),
        "both_stacks_residual": (
            {"next_h = next_h + h": "next_h = next_h + h\n            next_v = next_v + v"},
            "only the horizontal one does",
        ),
        "link_the_wrong_way": (
            {
                "        row = row + mp.ops.linear(above, self.link, None)\n": "        above = above + mp.ops.linear(row, self.link, None)\n"
            },
            "The next v of a layer",
        ),
        "every_layer_b": ({'GatedLayer("A"': 'GatedLayer("B"'}, 'The first layer has mask "B"'),
    },
    "lstm_scan": {
        "forget_and_input_exchanged": (
            {
                "z_o, z_f, z_i, z_g = np.split(z, 4, axis=-1)\n    m =": "z_o, z_i, z_f, z_g = np.split(z, 4, axis=-1)\n    m ="
            },
            "The forget gate and the input gate are exchanged",
        ),
        "output_first_forgotten": (
            {
                "z_o, z_f, z_i, z_g = np.split(z, 4, axis=-1)\n    m =": "z_i, z_f, z_o, z_g = np.split(z, 4, axis=-1)\n    m ="
            },
            "The output gate and the input gate are exchanged",
        ),
        "memory_shown_raw": (
            {"h = sigmoid(z_o) * np.tanh(m)": "h = sigmoid(z_o) * m"},
            "The state shows the memory itself",
        ),
        "returned_the_wrong_way": (
            {"return h, m": "return m, h", "h, m = step(": "m, h = step("},
            "The state and the memory are exchanged",
        ),
        "reads_its_right_neighbour": ({"z[:, 1:] = image[:, :-1]": "z[:, :-1] = image[:, 1:]"}, "the wrong way round"),
        "input_mask_b": ({"    return z\n": "    return z + image @ weight[1]\n"}, "which is mask B"),
        "input_without_mask": (
            {
                "    return z\n": "    z = z + image @ weight[1]\n    z[:, :-1] += image[:, 1:] @ weight[2]\n    return z\n"
            },
            "it sees the future",
        ),
        "input_rolled": (
            {"z[:, 1:] = image[:, :-1] @ weight[0]": "z = np.roll(image, 1, axis=1) @ weight[0]"},
            "The row goes round its border",
        ),
        "h_before_its_time": (
            {
                "    for r in range(H):\n": "    for r, c in np.ndindex(H, W):\n",
                "step(z[r] + from_above, m)": "step(z[r, c] + from_above[c], m[c])",
                "        h, m =": "        h[c], m[c] =",
            },
            "h is read before its time",
        ),
        "scanned_upwards": ({"for r in range(H)": "for r in reversed(range(H))"}, "The rows are scanned upwards"),
        "reads_the_memory": ({"np.pad(h, ": "np.pad(m, "}, "The memory of the row above is read"),
        "forgets_every_row": ({"from_above, m)": "from_above, 0 * m)"}, "The memory is not kept from row to row"),
        "goes_round": (
            {"np.pad(h, ((1, 1), (0, 0), (0, 0)))": "np.concatenate([h[-1:], h, h[:1]])"},
            "The row above goes round",
        ),
        "left_for_right": (
            {"padded[:W] @ weight[0]": "padded[:W] @ weight[2]", "padded[2:] @ weight[2]": "padded[2:] @ weight[0]"},
            "Left and right are exchanged",
        ),
        "backward_by_the_memory_alone": (
            {"memory = m_gradient + h_gradient * o * (1 - tanh_m**2)": "memory = m_gradient"},
            "m_gradient alone is not enough",
        ),
        "backward_without_slopes": (
            {" * o * (1 - o)": "", " * f * (1 - f)": "", " * i * (1 - i)": "", " * (1 - g**2)": ""},
            "The slopes of the gates are missing",
        ),
        "backward_without_forgetting": ({"memory * f\n": "memory\n"}, "not multiplied by the forget gate"),
    },
    "mixture_likelihood": {
        "log_sigmoid_overflows": ({"-np.logaddexp(0, -z)": "-np.log(1 + np.exp(-z))"}, "The exponential overflows"),
        "edge_bins_forgotten": (
            {"    lower[levels == 0] = -np.inf\n    upper[levels == Q - 1] = np.inf\n": ""},
            "all that lies beyond belongs to them",
        ),
        "bins_too_narrow": ({"half = 1 / (Q - 1)": "half = 1 / Q"}, "The bins are too narrow"),
        "scale_without_exp": (
            {
                "(x - half - means) / np.exp(log_scales)": "(x - half - means) / log_scales",
                "(x + half - means) / np.exp(log_scales)": "(x + half - means) / log_scales",
            },
            "The log-scale is taken for the scale",
        ),
        "difference_underflows": (
            {
                "np.log(-np.expm1(-width)) + log_sigmoid(upper) + log_sigmoid(-lower)": "np.log(np.exp(log_sigmoid(upper)) - np.exp(log_sigmoid(lower)))"
            },
            "underflows",
        ),
        "difference_clipped": (
            {
                "np.log(-np.expm1(-width)) + log_sigmoid(upper) + log_sigmoid(-lower)": "np.log(np.maximum(np.exp(log_sigmoid(upper)) - np.exp(log_sigmoid(lower)), 1e-12))"
            },
            "is clipped",
        ),
        "width_loses_digits": ({"np.log(-np.expm1(-width))": "np.log(1 - np.exp(-width))"}, "from 0 to 1e-12 is wrong"),
        "not_normalised": (
            {
                "Q))\n    return log_sum_exp(logits + each) - log_sum_exp(logits)\n\n": "Q))\n    return log_sum_exp(logits + each)\n\n"
            },
            "The logits are not normalised",
        ),
        "logarithms_mixed": (
            {
                "Q))\n    return log_sum_exp(logits + each) - log_sum_exp(logits)\n\n": "Q))\n    w = np.exp(logits - log_sum_exp(logits)[:, None])\n    return (w * each).sum(axis=-1)\n\n"
            },
            "The logarithms are mixed",
        ),
        "softmax_overflows": (
            {"    largest = values.max(axis=-1)\n": "    largest = np.zeros(len(values))\n"},
            "The softmax overflows",
        ),
        "a_choice_per_colour": (
            {
                "each = each + log_mass(*bin_edges(pixels[:, k], means[:, k], log_scales[:, k], Q))\n    return log_sum_exp(logits + each) - log_sum_exp(logits)": "each = each + mixture_log_prob(pixels[:, k], logits, means[:, k], log_scales[:, k], Q)\n    return each"
            },
            "Each colour chooses a component of its own",
        ),
        "no_tanh": ({"np.tanh(parameters[:, 7:10])": "parameters[:, 7:10]"}, "their tanh is missing"),
        "levels_for_places": ({"x = 2 * pixels / (Q - 1) - 1": "x = pixels"}, "wanted their places from -1 to 1"),
        "blue_exchanged": (
            {"c[:, 1] * red + c[:, 2] * green": "c[:, 2] * red + c[:, 1] * green"},
            "c1 and c2 are exchanged",
        ),
    },
}
