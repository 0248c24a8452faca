"""The table of docs/reliability.md that is made by tests: each of its lines is what a test has just seen."""

import os
import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
HEADING = "## Training that is stopped and resumed"
ABOUT = (
    "Each line says what one test found when it was last run with "
    "`MINIPIXEL_RECORD=1 pytest -m 'slow or not slow' tests/training`.\n"
)


def record(key, seen):
    """Put a line under the heading, in place of the one with that key; nothing, unless MINIPIXEL_RECORD is set."""
    if not os.environ.get("MINIPIXEL_RECORD"):
        return
    page = PAGE.read_text() if PAGE.exists() else "# Reliability\n"
    if HEADING not in page:
        page = f"{page.rstrip()}\n\n{HEADING}\n\n{ABOUT}\n"
    line, ours = f"- `{key}`: {seen}.", rf"^- `{re.escape(key)}`:.*$"
    if re.search(ours, page, re.MULTILINE):
        page = re.sub(ours, lambda found: line, page, flags=re.MULTILINE)
    else:
        before, ours, after = page.partition(f"{HEADING}\n\n{ABOUT}\n")
        page = f"{before}{ours}{line}\n{after}"
    PAGE.write_text(page)
