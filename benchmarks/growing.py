"""The README's first picture: a digit that grows pixel by pixel, beside what the model says of the current pixel.

Run: python benchmarks/growing.py [--seed SEED]    write docs/images/growing.png, an animated PNG

Left the digit as far as it is drawn, the current pixel in orange. In the middle how likely ink was at each pixel, given
all those before it: what the digit was drawn from. Right the distribution of the current pixel; the orange mark is on
what was drawn. Rows without ink take one frame each.
"""

import argparse
import io
from pathlib import Path

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from PIL import Image

import minipixel as mp
from minipixel.plots import CENTRE, INK, OPEN, SHUT

PICTURE = Path(__file__).parent.parent / "docs" / "images" / "growing.png"
MODEL = "mnist"
EVERY = 3  # pixels per frame, in rows that have ink
MILLISECONDS, LAST = 60, 2500
INKY = LinearSegmentedColormap.from_list("ink", ["#ffffff", "#9dbfd8", OPEN, "#12304a"])


def frames_of(image):
    """Which pixels, counted in raster order, have a frame: (H, W) -> whole numbers, the last of all among them."""
    H, W = image.shape
    shown = []
    for r in range(H):
        ink = np.flatnonzero(image[max(r - 1, 0) : r + 2].any(axis=0))
        if len(ink):
            first, last = max(ink[0] - 3, 0), min(ink[-1] + 3, W - 1)
            shown += [r * W + c for c in range(first, last + 1, EVERY)]
        shown.append(r * W + W - 1)
    return shown


def draw(image, chance, at):
    """One frame: an image (H, W) of 0 and 1, p(ink) at each pixel (H, W), the current pixel in raster order."""
    H, W = image.shape
    past = np.arange(H * W).reshape(H, W)
    r, c = divmod(at, W)
    figure = mp.plots.figure(7.2, 2.75)
    digit, ink, bars = figure.subplots(1, 3, width_ratios=(1, 1, 0.72))
    drawn = np.where(image[..., None] == 1, to_rgb(INK), (1.0, 1.0, 1.0))
    colours = np.where((past < at)[..., None], drawn, to_rgb(SHUT))
    colours[r, c] = to_rgb(CENTRE)
    digit.imshow(colours, interpolation="nearest")
    digit.set_title("drawn so far", fontsize=10, color=INK)
    ink.imshow(np.ma.masked_array(chance, past > at), cmap=INKY, vmin=0, vmax=1, interpolation="nearest")
    ink.set_facecolor(SHUT)
    ink.set_title("p(ink | all before)", fontsize=10, color=INK)
    ink.plot(c, r, "s", markersize=5, markerfacecolor="none", markeredgecolor=CENTRE, markeredgewidth=1.6)
    for ax in (digit, ink):
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_color("#c9ced4")
    p = chance[r, c]
    bars.bar(["blank", "ink"], [1 - p, p], color=[SHUT, OPEN], edgecolor=INK, linewidth=0.8, width=0.7)
    bars.plot(image[r, c], (1 - p, p)[image[r, c]] + 0.05, "v", color=CENTRE, markersize=9)
    for x, share in enumerate((1 - p, p)):
        bars.text(x, 0.02 if share > 0.2 else share + 0.1, f"{share:.2f}", ha="center", va="bottom", fontsize=9,
                  color="white" if x == 1 and share > 0.2 else INK)  # fmt: skip
    bars.set(ylim=(0, 1.15), yticks=[])
    bars.spines[["top", "right", "left"]].set_visible(False)
    bars.set_title(f"row {r + 1}, column {c + 1}", fontsize=10, color=INK)
    return Image.open(io.BytesIO(mp.plots.png(figure))).convert("RGB")


def main(seed):
    model = mp.models.pretrained(MODEL)
    image = model.sample(1, rng=seed)
    chance = model.probabilities(image)[0, :, :, 0, 1]
    shown = frames_of(image[0, :, :, 0])
    pictures = [draw(image[0, :, :, 0], chance, at) for at in shown]
    orange = np.full((100, pictures[0].width, 3), np.rint(np.multiply(to_rgb(CENTRE), 255)), np.uint8)
    some = [np.asarray(pictures[n]) for n in (len(pictures) // 2, -1)]
    palette = Image.fromarray(np.concatenate([*some, orange]))  # else a colour of few pixels would be lost
    palette = palette.quantize(64, dither=Image.Dither.NONE)
    pictures = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    durations = [MILLISECONDS] * (len(pictures) - 1) + [LAST]
    pictures[-1].save(  # where pictures do not move the finished one is seen
        PICTURE, save_all=True, default_image=True, append_images=pictures, duration=durations, loop=0, optimize=True
    )
    print(f"{PICTURE.name}: {len(pictures)} frames, {PICTURE.stat().st_size / 1000:.0f} KB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=25, help="which digit (default: %(default)s)")
    main(parser.parse_args().seed)
