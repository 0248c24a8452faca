"""The first import of the command `minipixel`, which makes Ctrl-C quiet from then on; elsewhere it does nothing."""

import contextlib
import os
import signal
import sys
import threading

# The names under which the command is started: `python -m minipixel` is called "-m" until its __main__ runs.
IS_COMMAND = os.path.basename(sys.argv[0] if sys.argv else "") in ("-m", "minipixel", "minipixel.exe")  # noqa: PTH119


def leave_quietly() -> None:
    """From now on Ctrl-C ends the process with status 130 and no traceback, whatever is being imported or cleaned up.

    Only where Ctrl-C would raise KeyboardInterrupt: one that the caller ignores (nohup, `&` in a script) stays ignored.
    """
    if _ours() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, lambda number, frame: os._exit(130))


def interrupt_as_usual() -> None:
    """From now on Ctrl-C raises KeyboardInterrupt again."""
    if _ours() and callable(signal.getsignal(signal.SIGINT)):
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _ours() -> bool:
    return IS_COMMAND and threading.current_thread() is threading.main_thread()


if IS_COMMAND:
    leave_quietly()
    for _descriptor in (0, 1, 2):  # a closed one would be given to the next file that is opened, a model's say
        try:
            os.fstat(_descriptor)
        except OSError:
            with contextlib.suppress(OSError):
                os.open(os.devnull, os.O_RDWR)
