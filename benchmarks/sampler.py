"""``python -m benchmarks.sampler FILE MODULE [ARGUMENT…]``: run a module, and note in FILE where its CPU time goes.

The timer counts CPU time, the kernel's included, in each process that the module forks too: who waits is not sampled.
A line is a sample, as ``py-spy record --format raw`` writes them: ``outer (file:1);inner (file:2) 1``.
"""

import atexit
import os
import runpy
import signal
import sys
from types import FrameType

from benchmarks.process import ROOT

INTERVAL = 0.004
"""Seconds of CPU time between two samples; the kernel's tick may make it longer."""


class Sampler:
    """Samples of this process and its forks, appended to one file."""

    def __init__(self, file: str) -> None:
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def start(self) -> None:
        signal.signal(signal.SIGPROF, self._sample)
        signal.siginterrupt(signal.SIGPROF, False)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)
        atexit.register(signal.setitimer, signal.ITIMER_PROF, 0)  # without its handler the signal would end the process
        os.register_at_fork(after_in_child=lambda: signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL))

    def _sample(self, number: int, frame: FrameType | None) -> None:
        stack = []
        while frame is not None:
            code = frame.f_code
            stack.append(f"{code.co_name} ({_short(code.co_filename)}:{frame.f_lineno})")
            frame = frame.f_back
        os.write(self._file, f"{';'.join(reversed(stack))} 1\n".encode())


def _short(file: str) -> str:
    """Below site-packages or the project."""
    return file.rpartition("site-packages/")[2].removeprefix(f"{ROOT}/")


if __name__ == "__main__":
    Sampler(sys.argv[1]).start()
    del sys.argv[:2]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
