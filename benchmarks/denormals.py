"""How soon a real training meets denormal numbers: in gradients, and in what Adam remembers, with the mode off.

Run: python benchmarks/denormals.py                         PixelCNN (hidden 32) on binary digits, 60 epochs
     python benchmarks/denormals.py --data mnist --epochs 2 the same on binary MNIST; --help for the rest

Training flushes them (minipixel/denormals.py); here it does not, and they are counted after each step: how many of all
weights have a denormal gradient, and how many a denormal first or second moment. A line is printed for each step at
which twice as many of a kind were seen as ever before, and one for the end. Counts do not depend on the machine.

What was found, on the bundled digits (8x8, threshold, batch 64, Adam at 1e-3, 105,665 weights in float32): the first
one after 654 steps, in a first moment, and 1,061 of them, one weight in a hundred, after 1,380 steps, at 0.22 bits/dim;
no gradient and no second moment by then. Where a gradient has become exactly zero, as behind a rectifier that died, the
first moment shrinks to nine tenths a step: from 1e-3 it is denormal 763 steps later, and after 899 it stays at 6e-45
for good, since nine tenths of that are rounded to the same number. A second moment gets there after 80,000 steps. So
they only become more.
"""

import argparse

import numpy as np

import minipixel as mp
from minipixel import denormals

KINDS = ("gradient", "mean", "square")


def count(array):
    """How many numbers of a float32 array are denormal, whatever mode this thread is in."""
    bits = np.ascontiguousarray(array).view(np.uint32) & 0x7FFFFFFF
    return int(((bits > 0) & (bits < 2**23)).sum())


class Counter(mp.callbacks.Callback):
    """Prints when there are twice as many of a kind as before."""

    def on_train_begin(self, model, images_in_all):
        self.model, self.steps, self.most = model, 0, dict.fromkeys(KINDS, 0)

    def on_epoch_begin(self, epoch, optimizer):
        self.optimizer = optimizer

    def on_batch_end(self, epoch, images, logs):
        self.steps += 1
        self.now = dict.fromkeys(KINDS, 0)
        for name, parameter in self.model.named_parameters():
            for kind, array in {"gradient": parameter.grad, **self.optimizer.state[name]}.items():
                self.now[kind] += count(array)
        if any(self.now[kind] > 2 * self.most[kind] for kind in KINDS):
            self.show(logs)
        self.most = {kind: max(self.now[kind], self.most[kind]) for kind in KINDS}

    def show(self, logs):
        counts = "".join(f"{self.now[kind]:>10,}" for kind in KINDS)
        print(f"{self.steps:>6}{logs['bits_per_dim']:>10.3f}{counts}", flush=True)


def main():
    parser = argparse.ArgumentParser(description="Denormal numbers in a training that does not flush them.")
    parser.add_argument("--data", default="digits", choices=["digits", "mnist"])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--blocks", type=int, default=7)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--images", type=int, help="of the training set; all, if it is left out")
    options = parser.parse_args()
    denormals.mode = lambda: None  # as where a processor has none
    ds = mp.datasets.load(options.data)
    images = mp.datasets.binarize(ds.train.images, ds.levels, how="threshold")[: options.images]
    model = mp.models.PixelCNN(ds.image_shape, 2, hidden=options.hidden, blocks=options.blocks)
    counter = Counter()
    print(f"{len(images):,} images, {model.num_parameters:,} weights")
    print(f"{'step':>6}{'bits/dim':>10}" + "".join(f"{kind:>10}" for kind in KINDS))
    optimizer = mp.optim.Adam(options.learning_rate)
    history = mp.fit(
        model, images, epochs=options.epochs, optimizer=optimizer, callbacks=[counter], progress=False
    ).history
    counter.show({"bits_per_dim": history["bits_per_dim"][-1]})


if __name__ == "__main__":
    main()
