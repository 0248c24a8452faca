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
}
