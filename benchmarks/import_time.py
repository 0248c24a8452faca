"""How long `import minipixel` takes in a fresh process, beside `import numpy` alone.

Run: python benchmarks/import_time.py
Fresh processes take turns; medians of 15, with the time that Python itself takes to start subtracted.
"""

import subprocess
import sys
import time

import numpy as np

PROGRAMS = {"nothing": "pass", "numpy": "import numpy", "minipixel": "import minipixel"}


def seconds(program):
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True)
    return time.perf_counter() - start


def main(runs=15):
    for program in PROGRAMS.values():
        seconds(program)
    medians = np.median([[seconds(program) for program in PROGRAMS.values()] for _ in range(runs)], axis=0)
    for name, median in zip(PROGRAMS, medians, strict=True):
        print(f"import {name:10} {median - medians[0]:6.3f} s")


if __name__ == "__main__":
    main()
