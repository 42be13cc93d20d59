"""How our child processes are started: apart from the terminal's Ctrl-C, and never outliving us."""

import ctypes
import os
import signal
import subprocess
import sys
from functools import partial
from typing import Any

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def child_options() -> dict[str, Any]:
    """Arguments for ``Popen``: a session of its own, no input, and SIGTERM when we die, however we die.

    The kernel watches the thread that starts the child: start children from the main thread.
    """
    options: dict[str, Any] = {"stdin": subprocess.DEVNULL, "start_new_session": True}
    if _LIBC is not None:  # without it, a start is quicker
        options["preexec_fn"] = partial(end_with, os.getpid())
    return options


def end_with(parent: int) -> None:
    """Have this process end when its parent does, whose process id that was."""
    if _LIBC is None:
        return
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before we could ask to be told
        os._exit(1)
