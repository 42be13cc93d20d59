"""Real processes of ours, for tests: started, waited for, and ended by pid."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from launch.child import child_options
from support.forked import Forked

ROOT = Path(__file__).parents[2]

IDLE_FOR = 0.3
IDLE_MEANS = 0.011
"""Seconds of CPU time in that time: one tick of the kernel's clock."""


def clean_environ(**more: str) -> dict[str, str]:
    """The environment without settings of ours, and with ``more``."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JOBS_")}
    return {**kept, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "PYTHONUNBUFFERED": "1", **more}


class Process:
    """``python -m module args``, its output in a file."""

    def __init__(self, output: Path, module: str, *args: str, **environ: str) -> None:
        self.output = output
        self.popen = self._start(module, args, clean_environ(**environ))

    def _start(self, module: str, args: tuple[str, ...], environ: dict[str, str]) -> "subprocess.Popen[bytes] | Forked":
        line = [sys.executable, "-m", module, *args]
        with self.output.open("ab") as stream:
            return subprocess.Popen(line, env=environ, stdout=stream, stderr=stream, cwd=ROOT, **child_options())

    @property
    def text(self) -> str:
        return self.output.read_text(errors="replace")

    def wait_until_idle(self, within: float = 20.0) -> None:
        """Wait until it and its children take no CPU time and ask for none: they have seen to all that they were sent.

        On a busy machine one that asks for some may not get it for long.
        """
        deadline = time.monotonic() + within
        taken = self._cpu_seconds()
        while time.monotonic() < deadline:
            time.sleep(IDLE_FOR)
            is_asked_for = any(each.status() == psutil.STATUS_RUNNING for each in self._family())
            before, taken = taken, self._cpu_seconds()
            if taken - before <= IDLE_MEANS and not is_asked_for:
                return
        raise AssertionError(f"process {self.popen.pid} is still busy after {within:g} s")

    def _cpu_seconds(self) -> float:
        return sum(sum(each.cpu_times()[:2]) for each in self._family())

    def _family(self) -> list[psutil.Process]:
        process = psutil.Process(self.popen.pid)
        return [process, *process.children(recursive=True)]

    def stop(self, within: float = 15.0) -> int:
        """SIGTERM, and the exit code; whatever is left of its session is killed."""
        self.popen.terminate()
        try:
            return self.popen.wait(within)
        finally:
            self.kill()

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()


class ForkedProcess(Process):
    """The same, started in a tenth of the time; see :mod:`support.forked`."""

    def _start(self, module: str, args: tuple[str, ...], environ: dict[str, str]) -> Forked:
        return Forked(self.output, module, args, environ, ROOT)


def is_gone(pid: int) -> bool:
    """Whether the process has ended; its parent may not have noticed yet."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
