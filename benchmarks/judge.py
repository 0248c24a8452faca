"""Do the digits that the model `mnist` draws read as digits? The model that was told classes judges each of them.

Run: python benchmarks/judge.py [--out FILE.png]

30 digits are drawn from `mnist` at temperature 1 from seed 0. Of each, `mnist-classes` says how likely it is given each
class, p(x | class): the class with the largest p is what it reads, and p(class | x), with all classes alike, how sure
it is. Beside that stands how surprising the digit is given that class, as a share of test digits that are less likely
given theirs. The picture shows each digit with what was read, for one's own eyes.
"""

import argparse

import numpy as np

import minipixel as mp

DRAWN, CLASSES, TEST = 30, 10, 1000


def nats_by_class(judge, images):
    """-log p(x | class) of each image for each class: (N, 10)."""
    N = len(images)
    told = np.tile(np.arange(CLASSES), N)
    return -judge.log_prob(np.repeat(images, CLASSES, axis=0), told).reshape(N, CLASSES)


def judged(judge, images):
    """What each image reads as, p(class | x) of that with all classes alike, and its nats given that class."""
    nats = nats_by_class(judge, images)
    least = nats.min(axis=1)
    return nats.argmin(axis=1), 1 / np.exp(least[:, None] - nats).sum(axis=1), least


def main(out):
    judge = mp.models.pretrained("mnist-classes")
    drawn = mp.models.pretrained("mnist").sample(DRAWN, rng=0)
    ds = mp.datasets.load("mnist")
    test = mp.datasets.binarize(ds.test.images[:TEST], ds.levels, rng=0)
    read, sure, nats = judged(judge, test)
    right = (read == ds.test.labels[:TEST]).mean()
    print(f"of {TEST} test digits {right:.1%} read as what they are; {(sure > 0.9).mean():.1%} with p(class | x) > 0.9")
    less_likely = np.sort(nats)
    read, sure, nats = judged(judge, drawn)
    shares = 1 - np.searchsorted(less_likely, nats) / TEST
    print("drawn:  reads as, p(class | x), nats given the class, share of test digits that are less likely")
    for n in range(DRAWN):
        print(f"{n + 1:5}   {read[n]}  {sure[n]:7.3f}  {nats[n]:7.1f}  {shares[n]:7.1%}")
    clear = (sure > 0.9) & (shares > 0.01)
    print(f"{clear.sum()} of {DRAWN} read as one class (p > 0.9) and are no more surprising than 99 % of test digits")
    figure = mp.plots.image_grid(drawn, 2, columns=6, title="read as " + ", ".join(map(str, read)))
    figure.savefig(out)
    print(f"picture {out}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", default="judged.png", help="default: %(default)s")
    main(parser.parse_args().out)
