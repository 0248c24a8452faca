"""The Ising model by examples/ising.py, at two sizes and three temperatures: the table in docs/results.md.

Run: python benchmarks/ising.py [FOLDER]          about ten minutes on two cores that are free
What FOLDER has already, runs/ising if none is given, is not run again. Seconds are the wall-clock time of the training.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[1] / "examples" / "ising.py"
CASES = [(size, beta) for size in (6, 16) for beta in (0.2, 0.44, 0.8)]
COLUMNS = ["", "beta", "exact", "variational", "off", "reweighted", "off", "effective sample size"]
COLUMNS += ["mean m", "mean of its size", "up", "training"]
ROW = (
    "| {size:.0f}x{size:.0f} | {beta:g} | {exact:.5f} | {variational:.5f} ± {standard_error:.5f} | {far:.3f} % | "
    "{reweighted:.5f} | {close:.4f} % | {effective_sample_size:.0%} | {mean_magnetisation:+.3f} | "
    "{mean_absolute_magnetisation:.3f} | {share_up:.1%} | {wall_seconds:.0f} s |"
)


def figures(size, beta, folder):
    """What the example finds, from its file; run now if there is none. It asserts what the row has to show."""
    out = folder / f"{size}x{size}-{beta:g}"
    if not (out / "figures.json").exists():
        own = {"ISING_SIZE": str(size), "ISING_BETA": str(beta), "ISING_OUT": str(out), "MINIPIXEL_QUICK": "0"}
        subprocess.run([sys.executable, EXAMPLE], env=os.environ | own, check=True, stdout=sys.stderr)
    return json.loads((out / "figures.json").read_text())


def row(found):
    """A line of the table."""
    off = {name: 100 * abs(found[name] / found["exact"] - 1) for name in ("variational", "reweighted")}
    return ROW.format(**found, far=off["variational"], close=off["reweighted"])


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/ising").resolve()
    rows = [row(figures(size, beta, folder)) for size, beta in CASES]
    print("\n".join([f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|", *rows]))
