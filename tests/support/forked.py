"""Processes of ours that are quick to start: forked from one that has imported what they need, and has done no more.

A Python that imports Redis and Celery takes half a second of CPU time, and the tests start some hundreds of them. The
module is run in the fork just as ``python -m`` does it. Not for what gevent has to patch before all imports.
"""

import os
import runpy
import subprocess
import sys
from contextlib import suppress
from multiprocessing import forkserver, get_context
from pathlib import Path

from launch.child import end_with
from support.eventually import eventually

_SERVER = get_context("forkserver")
_SERVER.set_forkserver_preload(
    [
        *("celery.apps.worker", "celery.bin.worker", "celery.worker.consumer", "celery.concurrency.prefork"),
        *("jobs.celery_app", "workers.csv_profile", "workers.demo", "subscribers.delivering"),
    ]
)
"""Nothing that gives a process its name as it is imported, as :mod:`workers.holder` does."""


class Forked:
    """As much of a :class:`subprocess.Popen` as tests use; the leader of a session of its own."""

    def __init__(self, output: Path, module: str, args: tuple[str, ...], environ: dict[str, str], cwd: Path) -> None:
        output.touch()  # a test may read it before the fork has opened it
        self._process = _SERVER.Process(target=_run, args=(output, module, args, environ, cwd), daemon=True)
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid
        with suppress(ProcessLookupError):  # it has ended already
            eventually(lambda: os.getpgid(self.pid) == self.pid, within=20, every=0.001)

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if (code := self.poll()) is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return code

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()


def _run(output: Path, module: str, args: tuple[str, ...], environ: dict[str, str], cwd: Path) -> None:
    os.setsid()
    os.close(forkserver._forkserver._forkserver_alive_fd)  # type: ignore[attr-defined]  # else its server outlives the test
    end_with(os.getppid())
    stream = os.open(output, os.O_WRONLY | os.O_APPEND)
    os.dup2(stream, 1)
    os.dup2(stream, 2)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environ)
    sys.path[:0] = environ["PYTHONPATH"].split(os.pathsep)
    sys.argv = [module, *args]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
