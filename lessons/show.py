"""Show a figure wherever a lesson is read: inline in a notebook, as a file when it runs as a script."""

import sys
from pathlib import Path


def in_notebook():
    """Whether a kernel runs this, which sends pictures to a page. A terminal can show none."""
    return "IPython" in sys.modules and hasattr(sys.modules["IPython"].get_ipython(), "kernel")


def show(figure, name, caption=""):
    """Display `figure` with its caption below, or save it as figures/NAME.png beside the lessons and say so."""
    if in_notebook():
        from IPython.display import Markdown, display

        display(figure)
        if caption:
            display(Markdown(f"*{caption}*"))
    else:
        path = Path(__file__).parent / "figures" / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        figure.savefig(path)
        print(f"[figure {path.name}{': ' * bool(caption)}{caption}]")
