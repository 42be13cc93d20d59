"""A process of a measured system: started with a log of its own, ended by pid together with its children."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil

from launch.child import child_options

ROOT = Path(__file__).resolve().parents[1]
CURRENT_PYTHON = Path(sys.executable)

_NOT_INHERITED = ("JOBS_", "CELERY_", "GUNICORN_", "WEB_CONCURRENCY", "HOST", "PORT")
"""Settings of the caller's shell that would change what is measured."""


class MeasuredProcess:
    """``python -m …`` from the project's root, in a clean environment."""

    def __init__(self, arguments: list[str], environ: dict[str, str], log: Path, python: Path = CURRENT_PYTHON) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [python, "-m", *arguments],
                cwd=ROOT,
                env={**clean, **environ},
                stdout=output,
                stderr=output,
                **child_options(),
            )
        self._log = log

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    @property
    def last_words(self) -> str:
        return self._log.read_text(errors="replace")[-2000:].strip()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def children(self) -> list[psutil.Process]:
        """The processes that it forked, and theirs."""
        try:
            return list(psutil.Process(self._process.pid).children(recursive=True))
        except psutil.NoSuchProcess:
            return []

    def stop(self, grace: float = 12) -> None:
        """SIGTERM, and SIGKILL for whatever is left of it after ``grace`` seconds."""
        children = self.children
        self._process.terminate()
        try:
            self._process.wait(grace)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        _, living = psutil.wait_procs(children, timeout=1)
        for child in living:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        psutil.wait_procs(living, timeout=5)


def cpu_seconds(pid: int) -> float:
    """User and system time so far of a process and of all that it forked, those that have ended included."""
    process = psutil.Process(pid)
    every = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return float(sum(one.user + one.system + one.children_user + one.children_system for one in every))
