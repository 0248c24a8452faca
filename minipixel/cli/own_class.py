"""`--class MODULE:NAME`: model classes of one's own, imported because the command line names them; no file does."""

import importlib
import inspect
import sys
from pathlib import Path
from typing import Any


def import_class(name: str) -> Any:
    """What MODULE:NAME names, the module looked for in this folder, too. ValueError, one line, if there is none."""
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise ValueError(f"--class: got {name}, wanted MODULE:NAME, mine:Squared for the class Squared in mine.py")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        imported = importlib.import_module(module)
    except (ImportError, TypeError, ValueError) as error:  # the latter for what is no name of a module
        raise ValueError(f"--class: got {name}, and importing {module} failed: {error}") from error
    if not hasattr(imported, attribute):
        classes = ", ".join(key for key, thing in vars(imported).items() if inspect.isclass(thing)) or "none"
        raise ValueError(f"--class: got {name}, and {module} has no {attribute}, wanted one of its classes: {classes}")
    return getattr(imported, attribute)
