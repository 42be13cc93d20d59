"""Throughput and latency of submit-and-wait, and of submits alone: wrk on all systems in turn, round by round."""

import json
import math
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import machine
from benchmarks.systems import HOST, QUICK_JOB, BenchmarkError, System

WARM_UP = 3
PATIENCE = 20.0
"""Seconds that we wait for other processes to leave the machine, before the systems take their turn."""

_SCRIPT = Path(__file__).with_name("post.lua")


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk sends, on how many connections, and the status that it must be answered."""

    connections: int
    body: str = QUICK_JOB.decode()
    status: int = 200
    longest: float = math.inf
    """Seconds that it may last."""


WAITS = (Load(1), Load(16), Load(64))
SUBMITS = Load(16, '{"type":"demo.noop"}', 202, longest=3)
"""Nobody waits, so that the worker falls behind: it must not take minutes to catch up."""


@dataclass(frozen=True, slots=True)
class Run:
    """What wrk saw in one run."""

    system: str
    load: Load
    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    unexpected: int
    """Answers with another status than the load's."""
    socket_errors: int
    others: float
    """Share of the machine that others used meanwhile (see :mod:`benchmarks.machine`)."""
    cpu: Mapping[str, float] = field(default_factory=dict)
    """Seconds of CPU time that each process of the system took meanwhile, by name."""

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds

    @property
    def cpu_a_request(self) -> float:
        """Seconds of CPU time, of all processes of the system."""
        return sum(self.cpu.values()) / self.requests

    @property
    def spread(self) -> float:
        return self.p99_ms / self.p50_ms if self.p50_ms else 0.0


def measure(systems: Sequence[System], rounds: int, seconds: int, tell: Callable[[str], None]) -> list[Run]:
    """``rounds`` runs for each system and load, in the order in which they were made.

    The systems take turns at each load, and in who goes first, so that a machine that gets slower or faster does so for
    all of them.
    """
    for system in systems:
        for load in (WAITS[-1], WAITS[0]):
            run(system, load, WARM_UP)
    runs = []
    for number in range(rounds):
        turn = systems if number % 2 == 0 else systems[::-1]
        for load in (*WAITS, SUBMITS):
            machine.wait_until_quiet(PATIENCE)
            for system in turn:
                seen = run(system, load, seconds)
                what = f"{load.connections} connections, answered {load.status}"
                tell(f"round {number + 1}: {seen.system}, {what}: {seen.rate:.0f} requests/s")
                runs.append(seen)
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


def run(system: System, load: Load, seconds: int) -> Run:
    """One run, and the end of the jobs that it left."""
    with system.turn():
        seen = send(system, load, seconds)
        system.drain()
    return seen


def send(system: System, load: Load, seconds: int) -> Run:
    """One run of wrk; what it left to do is not waited for."""
    command = [
        "wrk",
        f"-t{1 if load.connections == 1 else 2}",
        f"-c{load.connections}",
        f"-d{min(seconds, load.longest)}s",
        "--timeout=15s",
        f"-s{_SCRIPT}",
        f"http://{HOST}:{system.port}/jobs",
        "--",
        load.body,
        str(load.status),
    ]
    began, before = machine.read(), system.cpu_seconds()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    cpu = {name: seconds - before[name] for name, seconds in system.cpu_seconds().items()}
    others = machine.taken_by_others(began, machine.read())
    figures = [line for line in done.stdout.splitlines() if line.startswith("figures ")]
    if done.returncode or not figures:
        raise BenchmarkError(f"wrk on {system.name}: {(done.stderr or done.stdout).strip()[-500:]}")
    seen = json.loads(figures[-1].removeprefix("figures "))
    return Run(system=system.name, load=load, others=others, cpu=cpu, **seen)
