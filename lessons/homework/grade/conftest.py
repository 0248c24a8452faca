"""Which submissions are graded, and what is printed of each: a line with its points, then what is wrong with it.

HOMEWORK=path/to/submission.py pytest lessons/homework/grade/test_two_stacks.py
HOMEWORK=path/to/folder pytest lessons/homework/grade/test_two_stacks.py
"""

import importlib.util
import os
import traceback
from pathlib import Path

import pytest

WANTED = "wanted a file, or a folder of files: HOMEWORK=path/to/submission.py pytest path/to/test_two_stacks.py"
GRADES = {}  # of each submission: whether each test passed, and its properties


def submissions():
    """The files to be graded, in order of their names."""
    named = os.environ.get("HOMEWORK", "")
    path = Path(named)
    files = sorted(path.glob("*.py")) if path.is_dir() else [path]
    return [file for file in files if named and file.is_file()]


def pytest_configure():
    """Without a submission there is nothing to grade."""
    if not submissions():
        raise pytest.UsageError(f"HOMEWORK: got {os.environ.get('HOMEWORK', '')!r}, {WANTED}")


def pytest_generate_tests(metafunc):
    """Every test runs once for each submission."""
    if "homework" in metafunc.fixturenames:
        metafunc.parametrize("homework", submissions(), ids=lambda file: file.name, indirect=True)


@pytest.fixture
def homework(request):
    """The submission, imported anew for each test, so that no test depends on what another one left behind."""
    spec = importlib.util.spec_from_file_location("homework", request.param)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_globals is vars(module)]
        line = error.lineno if isinstance(error, SyntaxError) else lines[-1]
        text = error.msg if isinstance(error, SyntaxError) else error
        pytest.fail(f"The file cannot be imported: {type(error).__name__} in line {line}: {text}.", pytrace=False)
    return module


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Write into the report of a test: whose submission, how many points, and what its author is to read."""
    report = yield
    if "homework" in getattr(item, "fixturenames", ()):
        points = item.get_closest_marker("points").args[0]
        report.user_properties = [("submission", item.callspec.id), ("points", points)]
        if report.failed:
            error = call.excinfo.value
            unforeseen = f"{item.originalname} stopped with {error!r}; compare with the docstrings what is returned."
            text = str(error) if isinstance(error, pytest.fail.Exception) else unforeseen
            report.user_properties.append(("message", " ".join(text.split())))
    return report


def pytest_runtest_logreport(report):
    """Gather the reports in the order of the tests, in which the first message is the most basic one."""
    properties = dict(report.user_properties)
    if "submission" in properties and (report.when == "call" or report.failed):
        GRADES.setdefault(properties["submission"], []).append((report.passed, properties))


def pytest_terminal_summary(terminalreporter):
    """Print for each submission a line with its points, and below it what is wrong, each message once."""
    for name, tests in sorted(GRADES.items()):
        earned = sum(properties["points"] for passed, properties in tests if passed)
        possible = sum(properties["points"] for _, properties in tests)
        terminalreporter.write_line(f"{name}: {earned} of {possible} points")
        for message in dict.fromkeys(properties["message"] for passed, properties in tests if not passed):
            terminalreporter.write_line(f"  - {message}")
