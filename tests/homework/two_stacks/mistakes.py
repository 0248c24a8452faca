"""Mistakes that students make in this homework: a phrase of what they then read, and changes of right.py."""

MISTAKES = {
    "missing_shift": (
        "so the link shows a pixel its own row",
        [('mask[: size // 2] = 1\n    if kind == "B":\n        mask[size // 2] = 1', "mask[: size // 2 + 1] = 1")],
    ),
    "shifted_twice": (
        "a row is lost",
        [("mp.ops.linear(above, self.link", "mp.ops.linear(mp.ops.shift_down(above), self.link")],
    ),
    "vertical_looks_left_only": (
        "a blind spot remains",
        [("        mask[size // 2] = 1", "        mask[size // 2, : size // 2 + 1] = 1")],
    ),
    "horizontal_b_first": (
        "the centre is the pixel itself",
        [("mask[0, : size // 2] = 1", "mask[0, : size // 2 + 1] = 1")],
    ),
    "horizontal_to_the_right": (
        "opens the taps to the right",
        [("mask[0, : size // 2] = 1", "mask[0, -(size // 2) :] = 1")],
    ),
    "first_layer_adds_the_image": (
        "The first layer adds its input",
        [('if self.kind == "B":\n            next_h', "if True:\n            next_h")],
    ),
    "no_residual": (
        "adds h",
        [('if self.kind == "B":\n            next_h', 'if self.kind == "C":\n            next_h')],
    ),
    "no_link": ("The link is missing", [("        row = row + mp.ops.linear(above, self.link, None)\n", "")]),
    "stacks_exchanged": ("The two stacks are exchanged", [("return next_v, next_h", "return next_h, next_v")]),
    "both_stacks_residual": (
        "only the horizontal one does",
        [("next_h = next_h + h", "next_h = next_h + h\n            next_v = next_v + v")],
    ),
    "link_the_wrong_way": (
        "The next v of a layer",
        [("row = row + mp.ops.linear(above", "above = above + mp.ops.linear(row")],
    ),
    "every_layer_b": ('The first layer has mask "B"', [('GatedLayer("A"', 'GatedLayer("B"')]),
}
