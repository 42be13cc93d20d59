"""How much of the machine somebody else used while we measured: the reason not to trust a figure."""

import resource
import time
from contextlib import suppress
from dataclasses import dataclass

import psutil

NOISY = 0.1
"""Share of all CPUs taken by others above which a run says little."""

_NOT_BUSY = {"idle", "iowait", "guest", "guest_nice"}  # guest time is in user time already


@dataclass(frozen=True, slots=True)
class Reading:
    """CPU seconds so far: of the whole machine, what a hypervisor kept from it included, and of what we started."""

    at: float
    machine: float
    own: float


def read() -> Reading:
    """Call it while no process that we started is between its end and our waiting for it."""
    machine = sum(value for name, value in psutil.cpu_times()._asdict().items() if name not in _NOT_BUSY)
    return Reading(time.monotonic(), machine, _own())


def taken_by_others(began: Reading, ended: Reading) -> float:
    """Share (0 to 1) of all CPUs that went to neither of the systems nor to the load."""
    others = (ended.machine - began.machine) - (ended.own - began.own)
    return max(0.0, others / ((ended.at - began.at) * (psutil.cpu_count() or 1)))


def wait_until_quiet(patience: float) -> None:
    """Return after a second with the machine to ourselves, or after ``patience`` seconds without one."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        began = read()
        time.sleep(1)
        if taken_by_others(began, read()) < NOISY:
            return


def _own() -> float:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = ended.ru_utime + ended.ru_stime
    me = psutil.Process()
    for process in (me, *me.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
    return total
