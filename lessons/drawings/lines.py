"""Colours of lines and bars that are no pixels: none of them is a role of drawing.ROLES."""

import minipixel as mp

LINES = (mp.plots.INK, "#3f8f8f", "#b0568b", "#a08a2c")
