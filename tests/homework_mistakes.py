"""Mistakes that students make in each homework, as changes of our solution, and a phrase of what they then read."""

MISTAKES = {
    "masked_convolution": {
        "a_and_b_exchanged": ({'if kind == "A" else': 'if kind == "B" else'}, "A and B are exchanged"),
        "off_by_one": ({"centre = size * size // 2": "centre = size * size // 2 + 1"}, "one tap too many is open"),
        "by_columns": ({"return opened[:": "return opened.T[:"}, "rows and columns are exchanged"),
        "inverted": ({"return opened[:": "return ~opened[:"}, "open where it should be shut"),
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
        "later_layers_a": (
            {
                'K, K, 3, rng),\n            MaskedConv2d("B", K, 1': 'K, K, 3, rng),\n            MaskedConv2d("A", K, 1'
            },
            'Later layers have mask "A"',
        ),
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
            {"place = np.arange(size * size).reshape(size, size)": "place = np.arange(size * size).reshape(size, -2)"},
            "make_mask raises ValueError in line",
        ),
    },
}
