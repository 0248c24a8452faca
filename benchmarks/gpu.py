"""Our models on a GPU: right, beside the host; and how fast, beside PyTorch on the same GPU; within four minutes.

Run: python benchmarks/gpu.py                  with CuPy, PyTorch's build for CUDA and an idle GPU
     python benchmarks/gpu.py --write          the tables go into docs/results.md, too
     python benchmarks/gpu.py --stand-in       without a GPU: tiny models; CuPy is played, PyTorch is on the CPU
     python benchmarks/gpu.py --only steps --models gated pixelcnnpp-160       some phases of some models
All figures go into a JSON file; `gpu_report.py FILE` prints its tables once more. What is left out of libraries is said
in a line each, and the rest runs.

Its phases, in the order of their importance (gpu_work.py has them):
- check: loss and gradients of each model on the GPU beside the host's, and three steps repeated to the bit;
- steps: a training step, ours and PyTorch's in turns, and the likelihoods of a batch. Ours is what `fit` does: a batch
  of the host goes over, forward, backward, Adam, and a check that all is finite, whose result the host waits for. The
  twin's step (torch_training.py) is zero_grad, forward, loss, backward and fused Adam, on a batch that lies ready; it
  waits for nothing, cuDNN has chosen its fastest algorithms, and of both memory layouts the faster one takes part. A
  round has several steps in a row, timed by events of the device; tables have the medians of rounds after a warm-up;
- counts: launches, waits and copies of a step, exact, from the stand-in;
- tf32: the steps again, with products in TF32 on both sides. In all other phases TF32 is off on both;
- sampling: images drawn by the machine of the host, by that of the GPU, and by naive loops on the GPU;
- compiled: the twin's step by torch.compile, which captures CUDA graphs, on its own.
Each phase has a share of the time, and what another leaves. A process of its own does it, and ends when its time is
over or a model takes too long; the findings up to there count, and the models without one are named. Where there are
four cores or more, a process beside all others lets Numba compile the host's loops, which sampling needs.
"""

import argparse
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import gpu_report

HERE = Path(__file__).parent
SECONDS = 225  # of four minutes; the rest is for starting and for the report
# phase -> the share of all seconds at which it ends at the latest, and the most seconds that one model may take
PHASES = {
    "check": (0.2, 30),
    "steps": (0.55, 45),
    "counts": (0.6, 20),
    "tf32": (0.72, 30),
    "sampling": (0.88, 30),
    "compiled": (1.0, 60),
}

WORTH_IT = (os.cpu_count() or 1) >= 4


class Work:
    """A process of gpu_work.py that does a phase for some models, and can be stopped at any moment."""

    def __init__(self, phase, names, rounds, on_stand_in):
        where = "stand-in" if on_stand_in else "card"
        tf32 = str(int(phase == "tf32"))
        numba = {} if phase in ("warm", "sampling") else {"MINIPIXEL_NUMBA": "0"}  # compiling would take a minute
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "gpu_work.py"), phase, str(rounds), where, *names],
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True},
            env=os.environ | {"CUPY_TF32": tf32, "MINIPIXEL_TF32": tf32, "PYTHONWARNINGS": "ignore"} | numba,
        )
        self._lines, self._errors = queue.Queue(), []
        self._of_errors = threading.Thread(target=lambda: self._errors.extend(self._process.stderr), daemon=True)
        self._of_errors.start()
        self._of_findings = threading.Thread(target=self._read, daemon=True)
        self._of_findings.start()

    def _read(self):
        for line in self._process.stdout:
            self._lines.put(json.loads(line))
        self._lines.put(None)

    def next(self, until):
        """The next finding, a pair; None when there is no other. Raises queue.Empty at that time of the clock."""
        return self._lines.get(timeout=max(until - time.monotonic(), 0.01))

    def problem(self):
        """After its last finding: None if all went well, else the last line that it has written of errors."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            if self._process.wait(5) == 0:
                return None
        self._of_errors.join(1)
        last = next((line.strip() for line in reversed(self._errors) if line.strip()), "without a word")
        return f"ended with {self._process.returncode}: {last}"

    def end(self):
        """Stop it, and the processes that it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for reader in (self._of_findings, self._of_errors):
            reader.join(5)
        self._process.stdout.close()
        self._process.stderr.close()


def phase_of(phase, names, deadline, most, start, say):
    """What a phase finds, by model, until a deadline; a model that fails, or takes too long, has an error as well.

    A new process goes on with the models after that one, since a GPU's error may spoil all that follows it.
    """
    found, left = {}, list(names)
    while left and time.monotonic() < deadline:
        work, now, limit = start(phase, left), None, deadline
        try:
            while (finding := work.next(min(limit, deadline))) is not None:
                name, what = finding
                if name == "begin":
                    now, limit = what, time.monotonic() + most
                else:
                    found[name] = found.get(name, {}) | what
                    say(phase, name, what)
            problem = work.problem()
        except queue.Empty:
            over = time.monotonic() >= deadline
            problem = "stopped, since the time was over" if over else f"stopped, since it took more than {most} s"
        finally:
            work.end()
        at = now or phase
        if problem and "error" not in found.get(at, {}):
            found[at] = found.get(at, {}) | {"error": problem}
            say(phase, at, {"error": problem})
        left = left[left.index(now) + 1 :] if now else []
    return found


def names_of(phase, models):
    """The models of a phase, of those asked for."""
    import gpu_models

    everything = {"check": gpu_models.CHECKED, "sampling": gpu_models.SAMPLED, "compiled": gpu_models.COMPILED}
    everything = everything.get(phase, gpu_models.ROWS)
    return [name for name in everything if not models or name in models or phase == "check"]


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Our models on a GPU, beside the host and beside PyTorch.")
    parser.add_argument("--out", type=Path, default=Path("runs/gpu.json"), metavar="FILE.json")
    parser.add_argument(
        "--only", nargs="+", choices=PHASES, default=list(PHASES), metavar="PHASE", help=", ".join(PHASES)
    )
    parser.add_argument("--models", nargs="+", metavar="MODEL", help="some rows of gpu_models.py; none: all")
    parser.add_argument("--rounds", type=int, default=11, help="rounds of steps, each of them some ms")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="after which it ends, whatever is left")
    parser.add_argument("--stand-in", action="store_true", help="tiny models, without a GPU: their times mean nothing")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/results.md")
    options = parser.parse_args(arguments)
    if options.write and (options.stand_in or options.models or set(options.only) != set(PHASES)):
        parser.error("--write: got other options, wanted none, since the page has the full tables of a GPU")
    began, chosen = time.monotonic(), [phase for phase in PHASES if phase in options.only]

    def start(phase, names):
        return Work(phase, names, options.rounds, options.stand_in)

    def say(phase, name, what):
        print(f"{time.monotonic() - began:4.0f} s  {gpu_report.line(phase, name, what)}", flush=True)

    found = phase_of("machine", ["machine"], began + options.seconds, 60, start, lambda *what: None)
    found = {"machine": found["machine"], "stand-in": options.stand_in, "left out": {}}
    print(*gpu_report.heading(found), sep="\n", flush=True)
    lacking = found["machine"].get("lacking", {})
    if "error" in found["machine"] or len(lacking) == 2:
        print("nothing can be run; --stand-in tries the script without a GPU")
        return 1
    warm = start("warm", names_of("sampling", options.models)) if WORTH_IT and not options.stand_in else None
    for phase in chosen:
        if ("ours" in lacking and phase in ("check", "counts")) or ("PyTorch" in lacking and phase == "compiled"):
            continue
        share, most = PHASES[phase] if phase != chosen[-1] else (1.0, PHASES[phase][1])
        if warm and phase == "sampling":
            warm.end()
            warm = None
        names = names_of(phase, options.models)
        found[phase] = phase_of(phase, names, began + share * options.seconds, most, start, say)
        found["left out"][phase] = [name for name in names if name not in found[phase]]
    if warm:
        warm.end()
    found["seconds"] = time.monotonic() - began
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(found, indent=1) + "\n")
    gpu_report.report(options.out, options.write)
    return 0


if __name__ == "__main__":
    sys.exit(main())
