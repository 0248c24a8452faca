"""Put trained models into the box: weights of 16 bits, and a card each with what they do on the test images.

Run: MINIPIXEL_DATA=DIR python benchmarks/box.py ROW ...

A row is one of benchmarks/paper_table.py that has a place in the box. It has to be trained; of one that is not
finished its last checkpoint is taken, and the card says so.
"""

import argparse
import dataclasses
import json
import os

import numpy as np
import paper_table

import minipixel as mp
from minipixel.models.pretrained import BOX, Card, cards

# The one table of those whose pictures the models learnt from: the licence of the weights, and whom to name.
SOURCES = {
    "digits": ("CC-BY-4.0", "Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, UCI Machine "
               "Learning Repository, https://doi.org/10.24432/C50P49"),
    "emoji": ("Apache-2.0", "Noto Emoji, Google, https://github.com/googlefonts/noto-emoji"),
    "mnist": ("CC-BY-SA-3.0", "MNIST, Y. LeCun, C. Cortes and C. J. C. Burges"),
}  # fmt: skip


def shut(module):
    """Set the weights that masks shut to 0: nothing reads them, and the wheel, which is compressed, gets smaller."""
    if isinstance(module, list):
        for part in module:
            shut(part)
    elif isinstance(module, mp.nn.Module):
        if hasattr(module, "mask"):
            module.weight.data = np.where(module.mask, module.weight.data, np.float32(0))
        for part in vars(module).values():
            shut(part)


def put(name):
    """The model of a row into the box, with its card."""
    row = paper_table.ROWS[name]
    if not row.box:
        raise SystemExit(f"{name}: got a row without a place in the box, wanted {', '.join(boxed())}")
    model = paper_table.model_of(name)
    data = paper_table.of(name, "--data")
    full = paper_table.test(name)  # of the same checkpoint, so that the table says what the box does
    shut(model)
    model.save(BOX / f"{row.box}.safetensors", half=True)
    halved = mp.load(BOX / f"{row.box}.safetensors")
    nats = paper_table.score(halved, name)
    epochs, hours, _ = paper_table.progress(name)
    licence, credit = SOURCES[data]
    planned = int(paper_table.of(name, "--epochs"))
    finished = (paper_table.FOLDER / name / "model.safetensors").exists()
    card = Card(
        name=row.box,
        shows=row.shows,
        architecture=type(model).__name__,
        data=data,
        licence=licence,
        credit=credit,
        command=f"minipixel train {row.arguments}",
        epochs=epochs,
        planned=epochs if finished else planned,  # one that stopped early is finished, too
        hours=round(hours, 2),
        weights=model.num_parameters,
        nats=round(float(np.mean(nats)), 3),
        bits_per_dim=round(model.bits(np.mean(nats)), 4),
        draws=len(nats),
        spread=round(float(np.std(nats)), 3),
        full_nats=round(full, 3),
    )
    listed = {name: dataclasses.asdict(other) for name, other in cards().items()}
    listed[row.box] = dataclasses.asdict(card)
    order = [other.box for other in paper_table.ROWS.values() if other.box in listed]
    for entry in listed.values():
        entry.pop("name", None)
    (BOX / "cards.json").write_text(json.dumps({name: listed[name] for name in order}, indent=1) + "\n")
    cards.cache_clear()
    print(card)


def boxed():
    return [name for name, row in paper_table.ROWS.items() if row.box]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("rows", nargs="+", metavar="ROW", choices=boxed(), help=", ".join(boxed()))
    os.nice(5)
    for name in parser.parse_args().rows:
        put(name)
