"""Figures of lesson 03: the network and its block, the loss while it learns, digits that grow."""

from itertools import pairwise

import numpy as np
from drawing import INK, ROLES, Diagram, legend
from matplotlib.colors import to_rgb

import minipixel as mp


def network():
    """A diagram of the PixelCNN at the left, from the image up to the loss, and of one block at the right."""
    diagram = Diagram(7.6, 6.3)
    whole = [
        ("image (H, W, N, 1)", "value"),
        ("convolution 7x7, mask A", "layer"),
        ("5 residual blocks", "layer"),
        ("3 times: relu, linear", "layer"),
        ("logits (H, W, N, Q)", "value"),
        ("softmax", "layer"),
        ("$p(x_t \\mid x_{<t})$, Q per pixel", "value"),
        ("$-\\ln p$ of the true level", "loss"),
    ]
    features = ["", "1 -> 64", "64 -> 64", "64 -> 64 -> 64 -> 17", "", "", "", ""]
    places = []
    for number, (text, kind) in enumerate(whole):
        places.append(diagram.box(1.7, 0.5 + 0.75 * number, text, kind, width=2.3))
        diagram.note(2.92, 0.5 + 0.75 * number, features[number])
    for below, above in pairwise(places):
        diagram.arrow(below, above)
    block = [
        ("features, 64 per pixel", "value"),
        ("relu", "gate"),
        ("linear, 64 -> 32", "layer"),
        ("relu", "gate"),
        ("convolution 3x3, mask B", "layer"),
        ("relu", "gate"),
        ("linear, 32 -> 64", "layer"),
    ]
    stack = [diagram.box(5.5, 0.5 + 0.68 * number, text, kind, width=2.2) for number, (text, kind) in enumerate(block)]
    plus = diagram.circle(5.5, 0.5 + 0.68 * 7, "+")
    result = diagram.box(5.5, 0.5 + 0.68 * 7.85, "features, 64 per pixel", "value", width=2.2)
    for below, above in zip([*stack, plus], [*stack[1:], plus, result], strict=True):
        diagram.arrow(below, above)
    diagram.around(stack[0], plus, "x", reach=0.35)
    diagram.note(1.7, 6.15, "the network", align="center")
    diagram.note(5.5, 6.15, "one residual block", align="center")
    return diagram.figure


def loss_curve(bits, marks):
    """Bits/dim of every batch, and horizontal lines to compare with, bits/dim by name -> Figure."""
    fig = mp.plots.figure(6.6, 3)
    ax = fig.subplots()
    ax.plot(np.arange(1, len(bits) + 1), bits, color=INK, linewidth=1)
    for name, height in marks.items():
        ax.axhline(height, color=INK, linewidth=1, linestyle=":")
        ax.text(len(bits), height, name, ha="right", va="bottom", fontsize=8, color=INK)
    ax.set(xlabel="training step", ylabel="bits/dim of the batch", ylim=(1.5, None))
    ax.spines[["top", "right"]].set_visible(False)
    return fig


def growing(images, moments, levels):
    """Images (a row each) at some places t (a column each), the rest not drawn yet: integers (N, H, W) -> Figure."""
    N, H, W = images.shape
    fig = mp.plots.figure(0.9 * len(moments), 0.95 * N + 0.4)
    place = np.arange(H * W).reshape(H, W)
    axes = fig.subplots(N, len(moments), subplot_kw={"xticks": [], "yticks": []})
    for row, image in zip(axes, images, strict=True):
        for ax, t in zip(row, moments, strict=True):
            picture = np.repeat(image[..., None] / (levels - 1), 3, axis=-1)
            picture[place > t] = to_rgb(ROLES["future"])
            picture[place == t] = to_rgb(ROLES["this pixel"])
            ax.imshow(picture, interpolation="nearest")
            ax.spines[:].set_visible(False)
    for ax, t in zip(axes[0], moments, strict=True):
        ax.set_title(f"t = {t}" if t < H * W else "done", fontsize=8, color=INK)
    legend(fig, "this pixel", "future")
    return fig
