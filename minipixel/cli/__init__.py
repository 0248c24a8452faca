"""The command line: `minipixel demo | models | train | sample | complete | evaluate | check | export | ...`.

The exit status is 0 after success, 1 if `check` finds a leak or cannot decide, 2 after an error, which is explained in
one line, and 130 after Ctrl-C.
"""

import contextlib
import os
import sys
import traceback
from collections.abc import Sequence

from minipixel import _started, ranks
from minipixel.cli.notes import say, warnings_as_notes
from minipixel.console import Guarded
from minipixel.errors import DeviceError

SHARED_OUT = ("train", "sample", "complete", "evaluate")
"""What several ranks do together (ranks.py); of any other command the first of them does all."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command, and return its exit status.

    A failure to write to the terminal does not end a command: that output is lost, which is reported at the end. With
    MINIPIXEL_TRACEBACK=1 in the environment an error is shown with its traceback.
    """
    speaks = ranks.is_first()  # one process for all that a launcher has started
    stdout, stderr = (sys.stdout, sys.stderr) if speaks else (None, None)
    out, err = Guarded(lambda: stdout), Guarded(lambda: stderr)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings_as_notes():
        try:
            _started.interrupt_as_usual()
            status = _run(argv)
        finally:
            _started.leave_quietly()
        out.flush()
        if status == 0 and out.error is not None and not isinstance(out.error, BrokenPipeError):
            say("error", f"standard output: {_text(out.error)}")
            status = 2
        err.flush()
    for guarded in (out, err):
        if guarded.error is not None:  # nothing more may be written, not even when Python itself cleans up
            with contextlib.suppress(Exception):
                os.dup2(os.open(os.devnull, os.O_WRONLY), guarded.fileno())
    return status


def _run(argv: Sequence[str] | None) -> int:
    """Run one command, and return its exit status; every error is printed as one line."""
    try:
        all_ranks = ranks.world()
        with ranks.sharing(all_ranks), ranks.one_end(all_ranks):
            return _command(argv)
    except SystemExit as end:  # --help and --version
        return int(end.code or 0)
    except KeyboardInterrupt:
        say("", "interrupted")
        return 130
    except Exception as error:
        if os.environ.get("MINIPIXEL_TRACEBACK", "0") != "0":
            traceback.print_exc()
        say("error", _text(error))
        return 2


def _command(argv: Sequence[str] | None) -> int:
    """Run the command that the arguments ask for."""
    from minipixel.cli import config, start_from, train
    from minipixel.cli.parser import parser

    arguments = parser({}).parse_args(argv)
    file = train.settings_file(arguments)
    if file is not None:
        settings, made_with = config.read(file)
        arguments = parser({**settings, "made_with": made_with}).parse_args(argv)
    elif getattr(arguments, "from", None) is not None:
        arguments = parser(start_from.settings_of(getattr(arguments, "from"))).parse_args(argv)
    if arguments.command.__name__ in SHARED_OUT:
        return arguments.command(arguments)
    with ranks.sharing(ranks.ALONE):
        return arguments.command(arguments) if ranks.is_first() else 0


def _text(error: Exception) -> str:
    """The text of an error, for people who did not write this program."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, MemoryError):
        return str(error) or "not enough memory"
    if isinstance(error, (OSError, ValueError, ImportError, DeviceError, ranks.RankError)):
        return str(error)
    kind = f"{type(error).__name__}: {error}"
    return f"{kind}; this should not happen, please report it with what MINIPIXEL_TRACEBACK=1 shows"
