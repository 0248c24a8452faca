"""Milliseconds to trace a model, and to see before a draw that the trace still holds, beside a draw of one image.

Run: python benchmarks/tracing.py [MODEL ...]     two idle cores; about a minute, after `minipixel warmup`

A trace is made once a model: a pass with its arithmetic, two without it that show what the model has at hand to be the
same in each, and the reads of every op. "holds" is one more pass without arithmetic, before each draw.
"""

import argparse
import statistics
import time

from sampling import MODELS

from minipixel.clock import Trace
from minipixel.clock.passes import Pass

RUNS = 9


def milliseconds(call):
    """The median of RUNS calls, after one that is not counted."""
    call()
    found = []
    for _ in range(RUNS):
        start = time.perf_counter()
        call()
        found.append(1000 * (time.perf_counter() - start))
    return statistics.median(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"of {', '.join(MODELS)} (default: all)")
    print("| model | trace | of it passes to compare | holds | a draw of one image, holds included |")
    print("|---|---|---|---|---|")
    for name in parser.parse_args().models or MODELS:
        kind, options = MODELS[name]
        model = kind((28, 28, 1), 2, **options)
        trace, first = Trace(model), Pass(model)
        compared = milliseconds(lambda m=model, p=first: [Pass(m, p, image=1, other_weights=True), Pass(m, p, N=2)])
        times = [
            milliseconds(lambda m=model: Trace(m)),
            compared,
            milliseconds(lambda m=model, t=trace: t.holds(m)),
            milliseconds(lambda m=model: m.sample(1, rng=0)),
        ]
        print(f"| {name} | {' | '.join(f'{t:.1f}' for t in times)} |")


if __name__ == "__main__":
    main()
