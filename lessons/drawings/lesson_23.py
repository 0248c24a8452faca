"""The figures of lesson 23: a codebook, what it costs and loses, and three ways of reading codes."""

import numpy as np
from drawing import INK

from minipixel import plots

BROWN, GREY = "#a0713c", "#aab1b8"


def _plain(ax):
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)


def _picture(ax, image, levels=17):
    ax.imshow(image[..., 0], cmap="Greys", vmin=0, vmax=levels - 1)
    _plain(ax)


def _abreast(images):
    """Pictures (N, H, W, 1) as one (H, width), with a gap of white between them."""
    return np.concatenate([np.pad(image[..., 0], ((0, 0), (0, 1))) for image in images], axis=1)


def rate_and_distortion(sizes, rates, distortions, real, shown):
    """Distortion over rate, a dot for each size of codebook; beside it pictures (N, H, W, 1) by size."""
    figure = plots.figure(7.4, 3.0)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.5))
    left.plot(rates, distortions, "o-", color=INK, markersize=4, linewidth=1.2)
    for K, rate, distortion in zip(sizes, rates, distortions, strict=True):
        left.annotate(
            f"K = {K}" if K == 1 else K, (rate, distortion), xytext=(4, 4), textcoords="offset points", fontsize=8
        )
    left.set_xlabel("rate: bits per picture", fontsize=9)
    left.set_ylabel("distortion: levels per pixel", fontsize=9)
    left.margins(0.18)
    left.spines[["top", "right"]].set_visible(False)
    rows = {"real": real} | {f"{K} codes": images for K, images in shown.items()}
    bands = [np.pad(_abreast(images), ((0, 2), (0, 0))) for images in rows.values()]
    right.imshow(np.concatenate(bands), cmap="Greys", vmin=0, vmax=16)
    _plain(right)
    right.set_yticks([3.5 + 10 * row for row in range(len(rows))], list(rows), fontsize=9)
    right.tick_params(length=0)
    return figure


def codebook(entries, digit, codes, again):
    """All entries (K, 4) with their codes; a digit (8, 8, 1), its codes (4, 4), and the digit made of these."""
    figure = plots.figure(7.4, 3.6)
    above, below = figure.subfigures(2, 1, height_ratios=(1, 1.5))
    axes = above.subplots(2, len(entries) // 2)
    for code, (ax, entry) in enumerate(zip(axes.ravel(), entries, strict=True)):
        _picture(ax, entry.reshape(2, 2, 1))
        ax.spines[:].set_visible(True)
        ax.spines[:].set_color(GREY)
        ax.set_xlabel(code, fontsize=8, labelpad=1)
    first, middle, last = below.subplots(1, 3)
    _picture(first, digit)
    first.set_title("a digit, in 4 x 4 patches", fontsize=9, color=INK)
    middle.imshow(np.zeros(codes.shape), cmap="Greys", vmin=0, vmax=1)
    _plain(middle)
    middle.set_title("its codes", fontsize=9, color=INK)
    for (r, c), code in np.ndenumerate(codes):
        middle.text(c, r, code, ha="center", va="center", fontsize=11, color=INK)
    _picture(last, again)
    last.set_title("the digit that they give back", fontsize=9, color=INK)
    for ax, places in ((first, np.arange(1.5, 7, 2)), (middle, np.arange(0.5, 3)), (last, np.arange(1.5, 7, 2))):
        for place in places:
            ax.axhline(place, color=GREY, linewidth=0.8)
            ax.axvline(place, color=GREY, linewidth=0.8)
    return figure


def costs(bits):
    """A bar for each model, by name: bits per grid."""
    figure = plots.figure(6.6, 1.9)
    ax = figure.subplots()
    colours = [GREY if name.startswith("independent") else BROWN if "scaled" in name else INK for name in bits]
    bars = ax.barh(list(bits), list(bits.values()), color=colours, height=0.65)
    ax.bar_label(bars, fmt=" %.1f", color=INK, fontsize=9)
    ax.invert_yaxis()
    ax.margins(x=0.1)
    ax.set_xlabel("bits per grid of a test picture", fontsize=9)
    ax.spines[["top", "right"]].set_visible(False)
    return figure


def first_layer(by_line, by_table):
    """What each code adds to some features: (K, features) of the scaled reader, and of the embedding."""
    figure = plots.figure(7.4, 2.8)
    axes = figure.subplots(1, 2)
    shades = (INK, BROWN, "#6b7680", "#c9a877")
    titles = ("scaled", "embedding")
    for ax, values, title in zip(axes, (by_line, by_table), titles, strict=True):
        for feature, shade in enumerate(shades):
            ax.plot(values[:, feature], ".-", color=shade, linewidth=0.9, markersize=4, label=f"feature {feature}")
        ax.set_title(title, fontsize=10, color=INK)
        ax.set_xlabel("code, from little ink to much", fontsize=9)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("added to the feature", fontsize=9)
    axes[1].legend(frameon=False, fontsize=7, ncols=2)
    return figure


def rows_of_pictures(rows, levels):
    """Rows of pictures (N, H, W, 1) by name, ten abreast."""
    bands, ticks, place = [], [], 0
    for name, images in rows.items():
        for first in range(0, len(images), 10):
            band = _abreast(images[first : first + 10])
            bands.append(np.pad(band, ((0, 2), (0, 0))))
            if first == 0:
                ticks.append((place + (len(band) - 1) / 2, name))
            place += len(band) + 2
    whole = np.concatenate(bands)
    figure = plots.figure(7.4, 5.6 * whole.shape[0] / whole.shape[1] + 0.2)
    ax = figure.subplots()
    ax.imshow(whole, cmap="Greys", vmin=0, vmax=levels - 1)
    _plain(ax)
    ax.set_yticks([place for place, _ in ticks], [name for _, name in ticks], fontsize=9)
    ax.tick_params(length=0)
    return figure
