"""`minipixel evaluate`: how likely pictures are for a model, as a mean, and for each picture in a table."""

import argparse
import csv
import io
from pathlib import Path
from typing import Any

import numpy as np

from minipixel.cli.output import write
from minipixel.cli.use import output_file, pictures_for, read_model, write_array
from minipixel.errors import visible
from minipixel.oddness import complexity

SHOWN = 3
"""How many of the most surprising pictures are named."""


def evaluate(arguments: argparse.Namespace) -> int:
    """Print the mean negative log-likelihood of a split or of the user's pictures; write that of each, on request."""
    out = None if arguments.csv is None else output_file(arguments.csv, (".csv",), "--csv")
    numbers = arguments.probabilities and output_file(arguments.probabilities, (".npy",), "--probabilities")
    model = read_model(arguments.file, arguments.own_classes).to(arguments.device)
    given = pictures_for(arguments, model, arguments.images)
    nats = -model.log_prob(given.images, given.labels)
    odd = nats - complexity(given.images, model.levels) if arguments.score else None
    spread = f" (standard error {nats.std() / np.sqrt(len(nats)):.2f})" if len(nats) > 1 else ""
    print(f"data    {given.described}")
    what = "images" if arguments.images else arguments.split
    print(f"{what:7} {nats.mean():.2f} nats per image{spread}, {model.bits(nats.mean()):.4f} bits/dim")
    if arguments.accuracy:
        share = model.accuracy(given.images, given.labels)
        print(f"        {share:.2%} of sub-pixels are the likeliest, given those before them")
    order = np.argsort(-(nats if odd is None else odd), kind="stable")
    first = ", ".join(visible(given.names[n]) for n in order[:SHOWN])
    if odd is not None:
        print(f"odd     {first}")
    if out is not None:
        columns: dict[str, Any] = {"label": given.classes, "nats": nats, "bits_per_dim": [model.bits(n) for n in nats]}
        _write_table(out, given.names, columns | ({} if odd is None else {"score": odd}), order)
        print(f"table   {out}, the oddest first" if arguments.score else f"table   {out}, most surprising: {first}")
    if numbers:
        write_array(numbers, model.probabilities(given.images, given.labels))
        print(f"        p of every level of every sub-pixel in {numbers}")
    return 0


def _write_table(out: Path, names: list[str], columns: dict[str, Any], order: np.ndarray) -> None:
    """Write a table with one line per picture in that order, and with its "rank", from 1; whole or not at all."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", *columns, "rank"])
    for rank, n in enumerate(order, 1):
        writer.writerow([names[n], *("" if values is None else values[n] for values in columns.values()), rank])
    write(out, lambda: text.getvalue().encode("utf-8", "surrogateescape"))
