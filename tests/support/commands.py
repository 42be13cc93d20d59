"""The commands for people, ``python -m subscribers.groups`` and the like, as a test calls them."""

import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from io import StringIO
from unittest.mock import patch

from support.processes import ROOT, clean_environ


def in_a_process(module: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """As a user has it run."""
    line = [sys.executable, "-m", module, *arguments]
    return subprocess.run(
        line, env=clean_environ(**environ), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def called(module: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Its ``main`` in this process: the same code, without the quarter of a second of CPU time that a process takes."""
    out, err = StringIO(), StringIO()
    with (
        patch.dict(os.environ, clean_environ(**environ), clear=True),
        patch.object(sys, "argv", [module.rpartition(".")[2], *arguments]),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            code = import_module(module).main(arguments)
        except SystemExit as ended:  # argparse's
            code = ended.code
    return subprocess.CompletedProcess([module, *arguments], int(code or 0), out.getvalue(), err.getvalue())
