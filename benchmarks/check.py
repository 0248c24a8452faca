"""How long `check_causality` takes with its default settings, and how much memory, on models of PyTorch.

Run: python benchmarks/check.py            some minutes on two idle cores; prints a table
     python benchmarks/check.py --write    and puts it into docs/results.md
     python benchmarks/check.py --only grey transformer      the models whose names contain one of these words
     python benchmarks/check.py --profile grey               where the time of one of them goes

Each model is checked in a fresh process. The peak is that of the whole process, "before" what it holds once PyTorch and
minipixel are imported and the model is made. A hook counts forward passes, and the images in them. Core-seconds are how
long the process itself worked, on all cores together: what it takes on two idle ones is not less than half of that.
"""

import argparse
import cProfile
import json
import pstats
import subprocess
import sys
import time
from pathlib import Path

import accounts

PAGE = Path(__file__).parent.parent / "docs" / "results.md"
START, END = "<!-- made by benchmarks/check.py -->\n", "<!-- end of check.py -->"
HEAD = [
    "| model | verdict | seconds | core-seconds | passes | images in them | peak, MiB | before, MiB | other work |",
    "|---|---|---|---|---|---|---|---|---|",
]


def ready(name):
    """A model that counts its passes, the counts, and how to check it."""
    import torch
    from check_models import ROWS

    make, check = ROWS[name]
    torch.manual_seed(0)
    net, counts = make(), {"passes": 0, "images": 0}

    def count(module, inputs):  # a copy of the module with other weights has it, too
        counts["passes"] += 1
        counts["images"] += len(inputs[0])

    net.register_forward_pre_hook(count)
    return net, counts, check


def measured(name):
    """The figures of one model, in this process."""
    net, counts, check = ready(name)
    before, others, start, worked = (
        accounts.resident("VmRSS"),
        accounts.Others(),
        time.perf_counter(),
        time.process_time(),
    )
    report = check(net)
    times = {"seconds": time.perf_counter() - start, "worked": time.process_time() - worked}
    verdict = "causal" if report.ok else "leaks"
    memory = {"peak": accounts.resident("VmHWM"), "before": before}
    return {"verdict": verdict, "why": report.why, **times, "others": others.share(), **counts, **memory}


def profiled(name, most=40):
    """Print where the time of one check goes."""
    net, counts, check = ready(name)
    profile = cProfile.Profile()
    profile.runcall(check, net)
    pstats.Stats(profile).sort_stats("cumulative").print_stats(most)
    print(counts)


def line(name, found):
    passes, images = f"{found['passes']:,}", f"{found['images']:,}"
    memory, others = f"{found['peak']:,.0f} | {found['before']:,.0f}", f"{found['others']:.0%}"
    seconds = f"{found['seconds']:.1f} | {found['worked']:.1f}"
    return f"| {name} | {found['verdict']} | {seconds} | {passes} | {images} | {memory} | {others} |"


def chosen(words):
    from check_models import ROWS

    names = [name for name in ROWS if not words or any(word in name for word in words)]
    if not names:
        sys.exit(f"--only: got {' '.join(words)}, wanted part of a name; one of {', '.join(ROWS)}")
    return names


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true", help="write the table into docs/results.md")
    parser.add_argument("--only", nargs="+", metavar="word", default=[])
    parser.add_argument("--profile", metavar="word", help="where the time of one goes")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write and options.only:
        parser.error("--write: got --only, wanted all models, since the page has a table of all")
    if options.one:
        print(json.dumps(measured(options.one)))
        return
    if options.profile:
        profiled(chosen([options.profile])[0])
        return
    lines = list(HEAD)
    print("\n".join(HEAD), flush=True)
    for name in chosen(options.only):
        run = subprocess.run([sys.executable, __file__, "--one", name], check=True, stdout=subprocess.PIPE, text=True)
        found = json.loads(run.stdout.splitlines()[-1])
        lines.append(line(name, found))
        print(lines[-1], flush=True)
        if found["why"]:
            print(f"  {found['why']}", flush=True)
    if options.write:
        before, rest = PAGE.read_text().split(START)
        PAGE.write_text(before + START + "\n".join(lines) + "\n" + END + rest.split(END)[1])


if __name__ == "__main__":
    main()
