"""Throughput and latency of submit-and-wait: wrk on both systems in turn, round by round."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import machine
from benchmarks.systems import HOST, BenchmarkError, System

CONNECTIONS = (1, 16, 64)
WARM_UP = 3.0
SETTLE = 1.0
"""Seconds between two runs: what the last one left in the queue is worked off."""

PATIENCE = 20.0
"""Seconds that we wait for other processes to leave the machine, before the systems take their turn."""

_SCRIPT = Path(__file__).with_name("post.lua")


@dataclass(frozen=True, slots=True)
class Run:
    """What wrk saw in one run."""

    system: str
    connections: int
    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    not_200: int
    socket_errors: int
    others: float
    """Share of the machine that others used meanwhile (see :mod:`benchmarks.machine`)."""

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds

    @property
    def spread(self) -> float:
        return self.p99_ms / self.p50_ms if self.p50_ms else 0.0


def measure(systems: Sequence[System], rounds: int, seconds: int, tell: Callable[[str], None]) -> list[Run]:
    """``rounds`` runs for each system and number of connections, in the order in which they were made.

    The systems take turns at each number of connections, and in who goes first, so that a machine that gets slower or
    faster does so for both.
    """
    for system in systems:
        for connections in (CONNECTIONS[-1], 1):
            _run(system, connections, WARM_UP)
    runs = []
    for number in range(rounds):
        turn = systems if number % 2 == 0 else systems[::-1]
        for connections in CONNECTIONS:
            machine.wait_until_quiet(PATIENCE)
            for system in turn:
                time.sleep(SETTLE)
                run = _run(system, connections, seconds)
                tell(f"round {number + 1}: {run.system}, {connections} connections: {run.rate:.0f} requests/s")
                runs.append(run)
    return runs


def find_wrk() -> None:
    """See that wrk is here; as root, install it.

    Raises:
        BenchmarkError: it is not, and we may not or cannot.
    """
    if shutil.which("wrk") is None and os.geteuid() == 0 and shutil.which("apt-get"):
        for command in (["apt-get", "-qq", "update"], ["apt-get", "-qq", "install", "-y", "wrk"]):
            subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if shutil.which("wrk") is None:
        raise BenchmarkError("wrk is not installed; your package manager has it (apt-get install wrk)")


def _run(system: System, connections: int, seconds: float) -> Run:
    command = [
        "wrk",
        f"-t{1 if connections == 1 else 2}",
        f"-c{connections}",
        f"-d{seconds:.0f}s",
        "--timeout=15s",
        f"-s{_SCRIPT}",
        f"http://{HOST}:{system.port}/jobs",
    ]
    began = machine.read()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    others = machine.taken_by_others(began, machine.read())
    figures = [line for line in done.stdout.splitlines() if line.startswith("figures ")]
    if done.returncode or not figures:
        raise BenchmarkError(f"wrk on {system.name}: {(done.stderr or done.stdout).strip()[-500:]}")
    seen = json.loads(figures[-1].removeprefix("figures "))
    return Run(system=system.name, connections=connections, others=others, **seen)
