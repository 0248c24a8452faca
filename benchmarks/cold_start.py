"""A cold start: how long somebody waits who has Python and a wheel of minipixel, and nothing else.

Run: python benchmarks/cold_start.py            print the table
     python benchmarks/cold_start.py --write    write it into docs/results.md

In a new environment, in a new folder, with nothing compiled: install, first picture, a lesson, the first step of
training, and each once more, when there is nothing to compile or to cache. Downloads depend on the network, so pip is
given a cache if it has one; run this on an idle machine.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "docs" / "results.md"
START, END = "<!-- made by benchmarks/cold_start.py -->\n", "<!-- end of cold_start.py -->"
STEP = (
    "import minipixel as mp; ds = mp.datasets.load('digits'); "
    "model = mp.models.PixelCNN(ds.image_shape, ds.levels); "
    "print(model.value_and_gradients(ds.train.images[:100])[0])"
)


def seconds(command, folder, environment, until=None):
    """How long a command takes, or how long it takes until a file that matches a pattern lies in the folder."""
    began = time.perf_counter()
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as job:
        while until and not list(folder.glob(until)) and job.poll() is None:
            time.sleep(0.02)
        seen = time.perf_counter() - began
        said, _ = job.communicate()
        if job.returncode:
            sys.exit(f"{command}: {said.decode()}")
    whole = time.perf_counter() - began
    return (seen if until else whole), whole


def measure(base):
    """Rows of (what, seconds, seconds once more)."""
    python = base / "venv" / "bin" / "python"
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MINIPIXEL_DATA")}
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "-q", "--no-deps", "-w", str(base), str(ROOT)], check=True, env=environment)
    (wheel,) = base.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(base / "venv")], check=True)
    install = [*pip, "--python", str(python), "install", "-q", str(wheel)]
    took = seconds(install, base, environment)[1]
    packages = len(list(base.glob("venv/lib/*/site-packages/*.dist-info")))
    rows = [(f"`pip install` of the wheel, {packages} packages in all", took, None)]
    twice = [base / "first", base / "again"]
    for folder in twice:
        folder.mkdir()
    command = [str(python), "-m", "minipixel"]
    lesson = [str(python), str(ROOT / "lessons" / "01_an_image_is_a_sequence.py")]

    def both(name, call, until=None):
        """The first time, with nothing compiled or cached by what went before, and once more."""
        own = environment | {"NUMBA_CACHE_DIR": str(base / name), "MPLCONFIGDIR": str(base / name)}
        return [seconds(call, folder, own, until) for folder in twice]

    demos = both("demo", [*command, "demo"], "minipixel-demo/*.png")
    rows.append(("`minipixel demo`: the first picture", *(seen for seen, _ in demos)))
    for number, (what, call) in enumerate(
        (
            ("`minipixel sample mnist -n 16`", [*command, "sample", "mnist", "-n", "16", "--out", "x.png"]),
            ("the first lesson, figures and all", lesson),
            ("a first step of training, `import` and all", [str(python), "-c", STEP]),
        )
    ):
        rows.append((what, *(whole for _, whole in both(str(number), call))))
    rows.append(("`minipixel demo`, all of it", *(whole for _, whole in demos)))
    return rows


def table(rows):
    lines = ["| | first time | once more |", "|---|---|---|"]
    shown = [[what, *("" if t is None else f"{t:.1f} s" for t in times)] for what, *times in rows]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in shown]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true", help="write the table into docs/results.md")
    write = parser.parse_args().write
    with tempfile.TemporaryDirectory() as folder:
        made = table(measure(Path(folder)))
    print(made)
    if write:
        text = RESULTS.read_text(encoding="utf-8")
        RESULTS.write_text(re.sub(f"(?s){START}.*?{END}", lambda _: START + made + END, text), encoding="utf-8")


if __name__ == "__main__":
    main()
