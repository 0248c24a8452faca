"""What benchmarks/gpu.py found, as tables.

Run: python benchmarks/gpu_report.py runs/gpu.json [--write]      once more, from its file
"""

import json
import sys
from pathlib import Path

import gpu_models
import numpy as np
from sampling_report import DOCS, digits, table

START, END = "<!-- made by benchmarks/gpu.py -->\n", "<!-- end of gpu.py -->"
MOONSHOT = 2.0


def report(path, write):
    """Print the tables of a JSON file; with `write` they go into docs/results.md, too."""
    found = json.loads(path.read_text())
    if write and found["stand-in"]:
        raise ValueError(f"{path}: got figures of the stand-in, wanted those of a GPU; run gpu.py without --stand-in")
    text = "\n\n".join("\n".join(part) for part in parts(found) if part) + "\n"
    print(f"\n{text}")
    if write:
        page = DOCS / "results.md"
        before, rest = page.read_text().split(START)
        page.write_text(before + START + text + END + rest.split(END)[1])


def heading(found):
    """What was measured on, and what is missing."""
    machine = found["machine"]
    if "error" in machine:
        return [f"no process could be started: {machine['error']}"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    first = f"{machine['gpu'] or 'No GPU'}; {versions}."
    tiny = (
        ["Tiny models on the stand-in and on the CPU: these times say nothing about a GPU."]
        if found["stand-in"]
        else []
    )
    return [first, *tiny, *machine["lacking"].values()]


def parts(found):
    """All that is to be read, table by table."""
    yield heading(found)
    yield checks(found.get("check", {}))
    yield step_table(found)
    yield cost_table(found)
    yield sampling_table(found.get("sampling", {}))
    yield missing(found)


def checks(found):
    """In a sentence, and one more for each model that is wrong."""
    done = {name: what for name, what in found.items() if "good" in what}
    good = [name for name, what in done.items() if what["good"]]
    if not done:
        return []
    lines = [
        f"Checked against the host: {len(good)} of {len(done)} models have its loss and gradients (float64 to 1e-10, "
        "float32 to 1e-4), and repeat a step to the bit."
    ]
    return lines + [f"**{line('check', name, done[name])}**" for name in done if name not in good]


def line(phase, name, what):
    """A finding as a line of progress."""
    if "error" in what:
        return f"{phase:9}{name:22}{what['error']}"
    if phase == "check":
        apart = ", ".join(f"{dtype} {share:.0e}" for dtype, share in what["apart"].items())
        repeats = "repeats to the bit" if what["repeats"] else "DOES NOT REPEAT to the bit"
        said = f"{'right' if what['good'] else 'WRONG'}: apart from the host by {apart}; {repeats}"
    elif phase == "sampling":
        said = "; ".join(f"{n}: {_times(seconds)} s" for n, seconds in what.items())
    elif phase == "counts":
        said = ", ".join(f"{kind} {what[kind]}" for kind in ("launches", "kernels", "waits", "copies"))
    elif phase == "compiled":
        said = f"{digits(np.median(what['ms']))} ms, after {what['seconds to compile']:.0f} s of compiling"
    elif "ms" in what:
        said = f"{_times({who: np.median(times) for who, times in what['ms'].items()})} ms"
    elif "images a second" in what:
        said = f"likelihoods of {_times(what['images a second'])} images/s"
    else:
        counts = {who: what for who, what in what.get("a step", {}).items() if what}
        said = "; ".join(f"{who} {each['launches']} launches, by {each['by']}" for who, each in counts.items())
    return f"{phase:9}{name:22}{said}"


def _times(found):
    return ", ".join(f"{who} {digits(value)}" for who, value in found.items())


def ms(what, who="ours"):
    """The median of a step in a finding; None if there is none."""
    times = what.get("ms", {})
    times = times.get(who) if isinstance(times, dict) else times
    return float(np.median(times)) if times else None


def _cell(value, text=digits):
    return "" if value is None else text(value)


def _over(theirs, ours):
    return None if theirs is None or ours is None else theirs / ours


def wanted(name, ratio):
    """What is asked of a model, and whether it holds."""
    least = gpu_models.ROWS[name].wanted
    marks = [least] if least > MOONSHOT else [least, MOONSHOT]
    return "; ".join(
        f"{mark:g}: {'not known' if ratio is None else 'yes' if ratio >= mark else 'no'}" for mark in marks
    )


def step_table(found):
    """Times of a step, a row a model."""
    header = ["model", "images", "batch", "ours, ms", "ours by the clock", "PyTorch, ms", "PyTorch by the clock"]
    header += ["PyTorch / ours", "compiled, ms", "compiled / ours", "ours in TF32, ms", "PyTorch in TF32, ms"]
    header += ["PyTorch / ours in TF32", "wanted at least"]
    rows = []
    for name, what in found.get("steps", {}).items():
        if "ms" not in what:
            continue
        row = gpu_models.ROWS[name] if not found["stand-in"] else gpu_models.small(gpu_models.ROWS[name])
        rounded, clock = found.get("tf32", {}).get(name, {}), {"ms": what["wall ms"]}
        fused = ms(found.get("compiled", {}).get(name, {}))
        sides = ms(what), ms(what, "PyTorch")
        ratio, tf32 = _over(sides[1], sides[0]), (ms(rounded), ms(rounded, "PyTorch"))
        cells = [sides[0], ms(clock), sides[1], ms(clock, "PyTorch"), ratio, fused, _over(fused, sides[0])]
        cells += [*tf32, _over(tf32[1], tf32[0])]
        size = "x".join(map(str, row.shape))
        rows.append([name, size, str(row.batch), *map(_cell, cells), "" if found["stand-in"] else wanted(name, ratio)])
    return table(header, rows) if rows else []


def cost_table(found):
    """Launches, waits, copies, memory and likelihoods, a row a model."""
    header = ["model", "launches", "kernels", "waits", "copies", "PyTorch's launches", "PyTorch's kernels"]
    header += ["ours, MiB", "PyTorch, MiB", "log p of ours, images/s", "of PyTorch, images/s", "PyTorch's layout"]
    rows, steps, exact = [], found.get("steps", {}), found.get("counts", {})
    for name in dict.fromkeys([*steps, *exact]):
        what = steps.get(name, {})
        both = what.get("a step") or {}
        counts = exact.get(name, {}) if "launches" in exact.get(name, {}) else both.get("ours") or {}
        theirs, memory, rate = both.get("PyTorch") or {}, what.get("MiB", {}), what.get("images a second", {})
        numbers = [counts.get(kind) for kind in ("launches", "kernels", "waits", "copies")]
        numbers += [theirs.get("launches"), theirs.get("kernels"), memory.get("ours"), memory.get("PyTorch")]
        rates = [rate.get("ours"), rate.get("PyTorch")]
        cells = [*(_cell(n, "{:.0f}".format) for n in numbers), *(_cell(n, lambda x: f"{x:,.0f}") for n in rates)]
        if any(cells):
            rows.append([name, *cells, what.get("layout", "").replace("_", " ")])
    return table(header, rows) if rows else []


def sampling_table(found):
    """Seconds to draw so many images, a row a model and number."""
    ways = {
        "host": "ours, host, s",
        "GPU": "ours, GPU, s",
        "naive": "ours, naive on the GPU, s",
        "PyTorch naive": "PyTorch, naive, s",
    }
    rows = [
        [name, n, *(_cell(seconds.get(way)) for way in ways)]
        for name, what in found.items()
        for n, seconds in what.items()
        if isinstance(seconds, dict)
    ]
    return table(["model", "images", *ways.values()], rows) if rows else []


def missing(found):
    """What went wrong, was stopped, or did not come to its turn."""
    lines = []
    for phase, names in found["left out"].items():
        errors = {name: what["error"] for name, what in found[phase].items() if "error" in what}
        lines += [f"- {phase}, {name}: {error}" for name, error in errors.items()]
        lines += [f"- {phase}: no time for {', '.join(names)}"] if names and phase not in found[phase] else []
    for phase, wrong in (("steps", True), ("tf32", False)):
        if (
            any(what.get("rounded to TF32") is wrong for what in found.get(phase, {}).values())
            and not found["stand-in"]
        ):
            lines.append(f"- {phase}: our products were {'' if wrong else 'not '}in TF32, which was not meant")
    return ["Left out:", "", *lines] if lines else []


if __name__ == "__main__":
    report(Path(sys.argv[1]), "--write" in sys.argv[2:])
