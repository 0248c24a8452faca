"""Milliseconds of a training step at the papers' widths, ours beside PyTorch's twin with its likelihood.

Run: python benchmarks/training_wide.py [--models ...] [--rounds 5] [--steps 3]

As benchmarks/training.py, which see. A round is a few steps of each, in turn, and their median: the first step of a
`fit` takes gigabytes from the operating system, page by page, which those after it use again.
"""

import argparse

import numpy as np
from training import CORES, contestants

import minipixel as mp

# by name: name of the model, its options, shape of its images, levels, batch
ROWS = {
    "pixelcnn-h128": ("pixelcnn", {"hidden": 128, "blocks": 7}, (28, 28, 1), 2, 16),
    "gated-128": ("gated", {"filters": 128, "layers": 7}, (28, 28, 1), 2, 16),
    "pixelcnnpp-96": ("pixelcnnpp", {"filters": 96, "resnets": 2, "hierarchies": 3}, (32, 32, 3), 256, 8),
    "pixelcnnpp-160": ("pixelcnnpp", {"filters": 160, "resnets": 2, "hierarchies": 3}, (32, 32, 3), 256, 8),
}


def model_and_images(row, steps):
    """An untrained model, and batches of noise."""
    kind, options, shape, levels, batch = ROWS[row]
    images = np.random.default_rng(0).integers(0, levels, (steps * batch, *shape), dtype=np.uint8)
    model = mp.models.MODELS[kind](shape, levels, **options)
    if not model.initialized:
        model.initialize(images[:1])
    return model, images


def main():
    parser = argparse.ArgumentParser(description="Training steps of wide models, ours and PyTorch's, side by side.")
    parser.add_argument("--models", nargs="+", choices=ROWS, default=list(ROWS), metavar="model", help=", ".join(ROWS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3, help="steps of each in a round")
    options = parser.parse_args()
    print(f"{'':16}{'ours':>10}{'twin':>10}{'ratio':>9}   milliseconds a step, medians of {options.rounds} rounds")
    for row in options.models:
        model, images = model_and_images(row, options.steps)
        runs = contestants(model, images, [CORES], options.steps, ROWS[row][-1])
        for run in runs.values():
            run()
        rounds = [{who: float(np.median(run())) for who, run in runs.items()} for _ in range(options.rounds)]
        medians = {who: np.median([seconds[who] for seconds in rounds]) for who in runs}
        ours = medians.pop("ours")
        fastest = min(medians, key=medians.get)
        ratio = np.median([seconds[fastest] / seconds["ours"] for seconds in rounds])
        print(f"{row:16}{1e3 * ours:10.0f}{1e3 * medians[fastest]:10.0f}{ratio:9.2f}   ({fastest})", flush=True)


if __name__ == "__main__":
    main()
