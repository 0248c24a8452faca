"""Maps of what one pixel reads, and of what each pixel costs: lessons 09 and 13 to 15 draw them alike."""

import numpy as np
from drawing import ROLES, cells, legend, roles_of

import minipixel as mp


def fields(seen, position, *, features=True, width=8.4, height=2.5):
    """For each title of `seen`: what the cell at `position` reads, boolean (H, W).

    A map of features has a dot where the cell reads itself, too. With `features=False` it is a map of pixels, where a
    pixel that reads itself is a leak.
    """
    figure = mp.plots.figure(width, height)
    shown = set()
    for ax, (title, field) in zip(np.ravel(figure.subplots(1, len(seen))), seen.items(), strict=True):
        others = field.copy()
        dots = np.full(field.shape, "", object)
        if features and field[position]:
            others[position] = False
            dots[position] = "●"
        roles = roles_of(others, position)
        cells(ax, roles, numbers=dots, title=title)
        shown |= set(roles.ravel())
    legend(figure, *[role for role in ROLES if role in shown])
    return figure


def costs(maps, *, width=8.4, height=2.7):
    """For each title of `maps`: bits per pixel (H, W), white where a pixel is free, black where it costs a bit."""
    figure = mp.plots.figure(width, height)
    axes = np.ravel(figure.subplots(1, len(maps)))
    for ax, (title, bits) in zip(axes, maps.items(), strict=True):
        shades = ax.pcolormesh(bits, cmap="Greys", vmin=0, vmax=1, edgecolors="white")
        H, W = bits.shape
        ax.set(aspect="equal", ylim=(H, 0), xlabel="column c", ylabel="row r")
        ax.set_xticks(np.arange(W) + 0.5, range(W), fontsize=7)
        ax.set_yticks(np.arange(H) + 0.5, range(H), fontsize=7)
        ax.set_title(title, fontsize=9)
    figure.colorbar(shades, ax=axes, label="bits per pixel")
    return figure
