"""What a loop of one's own costs beside `fit`, and an optimizer's step on flat arrays beside one weight by weight.

Run: python benchmarks/own_loop.py          two idle cores; about a minute
All take turns, and the medians of their times count: milliseconds of a step of a PixelCNN on 64 images of 28x28 by
`fit`, and by `value_and_gradients` with `optimizer.step`; then those of Adam alone, for models of several sizes.
"""

import time

import numpy as np

import minipixel as mp

ROUNDS, STEPS, BATCH = 9, 10, 64
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 2, (STEPS * BATCH, 28, 28, 1), dtype=np.uint8)


class Clock(mp.callbacks.Callback):
    """When each batch was done."""

    def on_epoch_begin(self, epoch, optimizer):
        self.times = [time.perf_counter()]

    def on_batch_end(self, epoch, images, logs):
        self.times.append(time.perf_counter())


def by_fit(model, optimizer):
    clock = Clock()
    mp.fit(model, IMAGES, epochs=1, batch_size=BATCH, optimizer=optimizer, callbacks=[clock], progress=False)
    return np.diff(clock.times)


def by_hand(model, optimizer):
    times = [time.perf_counter()]
    for start in range(0, len(IMAGES), BATCH):
        _, gradients = model.value_and_gradients(IMAGES[start : start + BATCH])
        optimizer.step(model, gradients)
        times.append(time.perf_counter())
    return np.diff(times)


def turns(ways, rounds):
    """The median of what each way returns, in milliseconds, and the median of its ratio to the first within a round."""
    found = np.array([[np.median(way()) for way in ways] for _ in range(rounds + 1)])[1:]  # the first compiles
    return 1e3 * np.median(found, axis=0), np.median(found / found[:, :1], axis=0)


class OneByOne(mp.optim.Adam):
    """Adam, which changes one weight after the other."""

    elementwise = False


def steps_of(optimizer, model, gradients):
    def way():
        times = [time.perf_counter()]
        for _ in range(STEPS):
            optimizer.step(model, gradients)
            times.append(time.perf_counter())
        return np.diff(times)

    return way


def main():
    pairs = [(mp.models.PixelCNN((28, 28, 1), 2, hidden=16), mp.optim.Adam()) for _ in range(2)]
    medians, ratios = turns([lambda: by_fit(*pairs[0]), lambda: by_hand(*pairs[1])], ROUNDS)
    print(f"a step of fit {medians[0]:.1f} ms, of one's own loop {medians[1]:.1f} ms: {ratios[1]:.2f} times as long")
    for hidden in (16, 64, 256):
        ways = []
        for kind in (mp.optim.Adam, OneByOne):
            model = mp.models.PixelCNN((28, 28, 1), 2, hidden=hidden)
            gradients = {name: np.full_like(p.data, 1e-3) for name, p in model.named_parameters()}
            ways.append(steps_of(kind(), model, gradients))
        medians, ratios = turns(ways, ROUNDS)
        flat, single = medians
        count = f"{model.num_parameters:,} weights"
        print(f"Adam, {count:>17}: flat {flat:.2f} ms, one by one {single:.2f} ms, {ratios[1]:.2f} times as long")


if __name__ == "__main__":
    main()
