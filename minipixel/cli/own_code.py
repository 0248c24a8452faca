"""`FILE.py:NAME`: a model or function from the user's own code, which is run only if the command line names it."""

import errno
import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from minipixel.models.network import Network

OURS = Path(__file__).parents[1]


def names_code(name: str) -> bool:
    """Whether a name on the command line means code, FILE.py:NAME or MODULE:NAME, and not a model file."""
    before, colon, after = name.rpartition(":")
    return name.endswith(".py") or bool(colon and before and after.isidentifier())


def thing_in(name: str) -> Any:
    """The model, or the function of images, that FILE.py:NAME or MODULE:NAME means.

    A class, or a function that can be called without an argument, is called first. Raises ValueError if there is no
    such name, and for an error raised by that code; OSError if there is no such file.
    """
    file, _, attribute = (name, "", "") if name.endswith(".py") else name.rpartition(":")
    module = _module(file)
    if not attribute:
        raise ValueError(f"{name}: got no name in it, wanted {name}:NAME, one of its {_names(module)}")
    if not hasattr(module, attribute):
        raise ValueError(f"{name}: got {attribute}, which {file} does not have, wanted one of its {_names(module)}")
    thing = getattr(module, attribute)
    if not _makes_something(thing):
        return thing
    try:
        return thing()
    except (Exception, SystemExit) as error:
        raise ValueError(f"{name}: {attribute}() {said_of(error, file)}") from error


def said_of(error: BaseException, file: str) -> str:
    """An error of the user's code in words, with the line in which it was raised."""
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"raised {type(error).__name__} ({' '.join(message.split()):.200}){line_of(error, file)}"


def line_of(error: BaseException | None, file: str) -> str:
    """The last line of the user's code that an error went through, ", in line 12 of net.py"; "" if there is none.

    Files in the folder of the named file, or in the current one, are the user's code; installed libraries are not.
    """
    folder = Path(file).resolve().parent if file.endswith(".py") else Path.cwd()
    if error is None:
        return ""
    places = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        places.append((error.filename, error.lineno))
    for path, line in reversed(places):
        place = Path(path).resolve()
        if place.is_relative_to(folder) and "site-packages" not in place.parts and not place.is_relative_to(OURS):
            return f", in line {line} of {place.relative_to(folder)}"
    return ""


def _module(file: str) -> ModuleType:
    """The module in a file, which can import its neighbours; or a module by its name, also from the current folder."""
    path = Path(file)
    if file.endswith(".py") and not path.is_file():
        number = errno.EISDIR if path.is_dir() else errno.ENOENT
        raise OSError(number, os.strerror(number), file)
    folder = str(path.resolve().parent if file.endswith(".py") else Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return _run(path) if file.endswith(".py") else importlib.import_module(file)
    except (Exception, SystemExit) as error:
        raise ValueError(f"{file}: importing it {said_of(error, file)}") from error


def _run(path: Path) -> ModuleType:
    """Run a file as a module, under its own name if no other module has that name."""
    name = path.stem if path.stem not in sys.modules else f"_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # there is one for every .py
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # what is compiled looks for its globals there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _makes_something(thing: Any) -> bool:
    """Whether it is a class, or a function that can be called without an argument; a model takes some in `forward`."""
    if isinstance(thing, type):
        return True
    if not callable(thing) or isinstance(thing, Network):
        return False
    try:
        parameters = inspect.signature(thing).parameters.values()
    except (TypeError, ValueError):  # a built-in one does not say what it takes
        return False
    return all(each.default is not each.empty or each.kind is each.VAR_KEYWORD for each in parameters)


def _names(module: ModuleType) -> str:
    """The names in a module that could be meant."""
    found = [
        name
        for name, thing in vars(module).items()
        if callable(thing)
        and not name.startswith("_")
        and ((not inspect.isroutine(thing) and not inspect.isclass(thing)) or thing.__module__ == module.__name__)
    ]
    return ", ".join(found) or "names: it has none"
