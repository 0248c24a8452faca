"""Mistakes that students make in this homework: a phrase of what they then read, and changes of right.py."""

MISTAKES = {
    "a_and_b_exchanged": ("A and B are exchanged", [('if kind == "A" else', 'if kind == "B" else')]),
    "off_by_one": ("one tap too many is open", [("centre = size * size // 2", "centre = size * size // 2 + 1")]),
    "by_columns": ("Rows and columns of the masks are exchanged", [("return opened[:", "return opened.T[:")]),
    "inverted": (
        "open where it should",
        [("place < centre", "place >= centre"), ("place <= centre", "place > centre")],
    ),
    "mask_on_the_gradient_only": (
        "applied to the gradient only",
        [
            ("self.weight * mask", "self.weight"),
            ("rate * parameter.grad", "rate * mask_of(self, parameter) * parameter.grad"),
            (
                "class PixelCNN",
                "def mask_of(model, parameter):\n"
                "    for layer in model.layers:\n"
                "        if layer.weight is parameter:\n"
                "            return make_mask(layer.kind, layer.size)\n"
                "    return 1\n"
                "\n"
                "\n"
                "class PixelCNN",
            ),
        ],
    ),
    "weights_masked_in_place": (
        "The forward pass writes into the weights",
        [
            ("self.weight * mask", "self.weight"),
            (
                "        mask = make_mask(self.kind, self.size)\n",
                "        mask = make_mask(self.kind, self.size)\n        self.weight.data = self.weight.data * mask\n",
            ),
        ],
    ),
    "weights_masked_once": (
        "multiplied into the weights once",
        [
            ("self.weight * mask", "self.weight"),
            (
                "        self.bias = mp.nn",
                "        self.weight.data = self.weight.data * make_mask(kind, size)\n        self.bias = mp.nn",
            ),
        ],
    ),
    "no_mask": ("its kernel is not multiplied by the mask", [("self.weight * mask", "self.weight")]),
    "all_b": ('The first layer has mask "B"', [('MaskedConv2d("A"', 'MaskedConv2d("B"')]),
    "all_a": (
        "and uses the other one",
        [
            (
                "return mp.ops.conv2d(x, self.weight * mask",
                'first = self.kind == "A"\n'
                '        mask = make_mask("A" if first or self.size == 3 else "B", self.size)\n'
                "        return mp.ops.conv2d(x, self.weight * mask",
            )
        ],
    ),
    "later_layers_a": ('Later layers have mask "A"', [('("B", K, 1, 1, rng)', '("A", K, 1, 1, rng)')]),
    "mean_over_pixels": (
        "The mean over the pixels",
        [("axes=(0, 1, 3))", "axes=(0, 1, 3)) / (images.shape[0] * images.shape[1])")],
    ),
    "ones_only": (
        "pixels that are 0 are forgotten",
        [("mp.ops.log(mp.ops.sigmoid(self(images) * signs))", "mp.ops.log(mp.ops.sigmoid(self(images))) * images")],
    ),
    "uphill": ("goes uphill", [("parameter.data - rate", "parameter.data + rate")]),
    "shape_without_channels": (
        "has the shape (3, 3), wanted (3, 3, 1, 1)",
        [("return opened[:, :, None, None].astype(float)", "return opened.astype(float)")],
    ),
    "crash": (
        "make_mask raises ValueError in line",
        [("place = np.arange(size * size).reshape(size, size)", "place = np.arange(size * size).reshape(size, 4)")],
    ),
    "argument_missing": (
        "make_mask raises TypeError: make_mask() takes 1",
        [
            ("def make_mask(kind, size):", "def make_mask(kind, *, size):"),
            ("make_mask(self.kind, self.size)", "make_mask(self.kind, size=self.size)"),
        ],
    ),
}
