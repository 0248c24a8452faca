"""`--class MODULE:NAME`: model classes of the user's own, which are imported only if the command line names them."""

import importlib
import inspect
import sys
from pathlib import Path
from typing import Any


def import_class(name: str) -> Any:
    """Import the class MODULE:NAME; the module may be in the current folder. Raises ValueError if there is none."""
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
