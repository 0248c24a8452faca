"""Mistakes that students make in this homework: a phrase of what they then read, and changes of right.py."""

MISTAKES = {
    "forget_and_input_exchanged": (
        "The forget gate and the input gate are exchanged",
        [
            (
                "z_o, z_f, z_i, z_g = np.split(z, 4, axis=-1)\n    m",
                "z_o, z_i, z_f, z_g = np.split(z, 4, axis=-1)\n    m",
            )
        ],
    ),
    "memory_shown_raw": (
        "The state shows the memory itself",
        [("h = sigmoid(z_o) * np.tanh(m)", "h = sigmoid(z_o) * m")],
    ),
    "returned_the_wrong_way": (
        "The state and the memory are exchanged",
        [("return h, m", "return m, h"), ("h, m = step(", "m, h = step(")],
    ),
    "reads_its_right_neighbour": ("the wrong way round", [("z[:, 1:] = image[:, :-1]", "z[:, :-1] = image[:, 1:]")]),
    "input_mask_b": ("which is mask B", [("    return z\n", "    return z + image @ weight[1]\n")]),
    "input_without_mask": (
        "it sees the future",
        [
            (
                "    return z\n",
                "    z = z + image @ weight[1]\n    z[:, :-1] += image[:, 1:] @ weight[2]\n    return z\n",
            )
        ],
    ),
    "input_rolled": (
        "The row wraps around its border",
        [("z[:, 1:] = image[:, :-1] @ weight[0]", "z = np.roll(image, 1, axis=1) @ weight[0]")],
    ),
    "h_before_its_time": (
        "h is read before its time",
        [
            ("    for r in range(H):\n", "    for r, c in np.ndindex(H, W):\n"),
            ("step(z[r] + from_above, m)", "step(z[r, c] + from_above[c], m[c])"),
            ("        h, m =", "        h[c], m[c] ="),
        ],
    ),
    "scanned_upwards": ("The rows are scanned upwards", [("for r in range(H)", "for r in reversed(range(H))")]),
    "reads_the_memory": ("The memory of the row above is read", [("np.pad(h, ", "np.pad(m, ")]),
    "forgets_every_row": ("The memory is not kept from row to row", [("from_above, m)", "from_above, 0 * m)")]),
    "goes_round": (
        "The row above wraps around",
        [("np.pad(h, ((1, 1), (0, 0), (0, 0)))", "np.concatenate([h[-1:], h, h[:1]])")],
    ),
    "left_for_right": (
        "Left and right are exchanged",
        [("padded[:W] @ weight[0]", "padded[:W] @ weight[2]"), ("padded[2:] @ weight[2]", "padded[2:] @ weight[0]")],
    ),
    "backward_by_the_memory_alone": (
        "m_gradient alone is not enough",
        [("memory = m_gradient + h_gradient * o * (1 - tanh_m**2)", "memory = m_gradient")],
    ),
    "backward_without_slopes": (
        "The slopes of the gates are missing",
        [(" * o * (1 - o)", ""), (" * f * (1 - f)", ""), (" * i * (1 - i)", ""), (" * (1 - g**2)", "")],
    ),
    "backward_without_forgetting": ("not multiplied by the forget gate", [("memory * f\n", "memory\n")]),
    "output_and_input_exchanged": (
        "The output gate and the input gate are exchanged",
        [
            (
                "z_o, z_f, z_i, z_g = np.split(z, 4, axis=-1)\n    m",
                "z_i, z_f, z_o, z_g = np.split(z, 4, axis=-1)\n    m",
            )
        ],
    ),
    "error_inside_numpy": (
        "row_scan raises ValueError in line",
        [("np.pad(h, ((1, 1), (0, 0), (0, 0)))", "np.pad(h, ((1, 1), (0, 0)))")],
    ),
}
