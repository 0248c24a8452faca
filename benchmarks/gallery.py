"""The gallery: every model in the box, real pictures above generated ones, with what it sees and how fast it draws.

Run: MINIPIXEL_DATA=DIR python benchmarks/gallery.py           write docs/models.md, and docs/images/box
     MINIPIXEL_DATA=DIR python benchmarks/gallery.py NAME ...  these models alone; the page keeps what it says of others

What is drawn is drawn at temperature 1 from seed 0, not chosen. Seconds are the median of three drawings of 30 images,
once all is compiled: run it on an idle machine.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np

import minipixel as mp

DOCS = Path(__file__).parent.parent / "docs"
PICTURES = DOCS / "images" / "box"
MEASURED = PICTURES / "measured.json"
DRAWN = 30

TOP = """# Models in the box

Some trained models are installed with minipixel; we call them the models in the box. `minipixel models` lists them,
`minipixel sample mnist -n 30` draws with one, and `mp.models.pretrained("mnist")` loads one in Python, where it is a
model like any other. On the command line a word without a slash and without a suffix names a model in the box: `mnist`
does, while `./mnist` and `mnist.safetensors` are files.

Each figure shows test pictures above, and below them what the model draws at temperature 1 from seed 0; nothing was
chosen. *bits/dim* and *nats per image* say how surprised the model is by the test images: less is better. Weights are
stored in 16 bits, and *32 bits* is the figure in nats before that rounding. *Sees* is the share of all earlier
sub-pixels that can change a prediction, on average over all sub-pixels, as `mp.check_causality` counts it. *Seconds* is
the time in which the model draws 30 images on two cores, once everything is compiled. A name with ± has been measured
on several binary versions of the grey test images; its card says on how many. `python benchmarks/gallery.py` made this
page.

| model | bits/dim | nats per image | 32 bits | weights | KB | sees | seconds |
|---|---|---|---|---|---|---|---|
"""


def look(name):
    """Draw with a model in the box, write its picture, and measure it: the share of the past that it sees, seconds."""
    model, card = mp.models.pretrained(name), mp.models.cards()[name]
    ds = mp.datasets.load(card.data)
    real = ds.test.images if model.levels == ds.levels else mp.datasets.binarize(ds.test.images, ds.levels, rng=0)
    condition = model.conditions.in_turn(DRAWN)
    if condition is not None:  # real ones of the same classes in the same order
        real = np.stack(
            [real[ds.test.labels == label][n // model.conditions.num_classes] for n, label in enumerate(condition)]
        )
    seconds = []
    for _ in range(4):  # the first one compiles
        start = time.perf_counter()
        drawn = model.sample(DRAWN, condition, rng=0)
        seconds.append(time.perf_counter() - start)
    PICTURES.mkdir(parents=True, exist_ok=True)
    mp.plots.sample_grid(real, drawn, model.levels).savefig(PICTURES / f"{name}.png")
    report = mp.check_causality(model, images=2)
    assert report.ok, report
    earlier = int(model.order.ravel()[report.outputs].sum())
    sees = 1 - len(report.blind) / earlier
    print(f"{name}: {statistics.median(seconds[1:]):.2f} s, sees {sees:.0%} of what is earlier", flush=True)
    return {"seconds": statistics.median(seconds[1:]), "sees": sees}


def faces():
    """The picture of README: real faces above those that `minipixel sample emoji --label "Smileys & Emotion"` draws."""
    model, ds = mp.models.pretrained("emoji"), mp.datasets.load("emoji")
    label = ds.classes.index("Smileys & Emotion")
    drawn = model.sample(DRAWN, np.full(DRAWN, label), rng=0)
    real = ds.test.images[ds.test.labels == label]
    mp.plots.sample_grid(real, drawn, model.levels).savefig(PICTURES / "emoji-faces.png")


def page(measured):
    """The page in Markdown."""
    lines, sections = [], []
    for name, card in mp.models.cards().items():
        if name not in measured:
            continue
        kilobytes = card.path.stat().st_size / 1000
        spread = f" ± {card.spread:.2f}" if card.draws > 1 else ""
        lines.append(
            f"| [`{name}`](#{name}) | {card.bits_per_dim:.4f} | {card.nats:.2f}{spread} | {card.full_nats:.2f} | "
            f"{card.weights:,} | {kilobytes:.0f} | {measured[name]['sees']:.0%} | {measured[name]['seconds']:.2f} |"
        )
        picture = f"![{name}: test pictures above, drawn ones below](images/box/{name}.png)"
        sections.append(f"## {name}\n\n{picture}\n\n```\n{card}\n```\n")
    return TOP + "\n".join(lines) + "\n\n" + "\n".join(sections)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="of models in the box (default: all of them)")
    measured = json.loads(MEASURED.read_text()) if MEASURED.exists() else {}
    for name in parser.parse_args().names or mp.models.cards():
        measured[name] = look(name)
        if name == "emoji":
            faces()
    MEASURED.write_text(json.dumps(measured, indent=1) + "\n")
    (DOCS / "models.md").write_text(page(measured))
