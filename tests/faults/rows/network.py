"""Row 7: a network that hangs, falls silent, resets and is slow, between the service and Redis."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from support.eventually import eventually

from faults.client import BROKEN, Client
from faults.evidence import PROBE, gather, settle, unasked
from faults.load import Body, Load
from faults.outcome import Bench, Outcome, Row
from faults.proxy import Proxy
from faults.site import Site
from launch.redis_server import free_port

RATE = 20.0
BODY: Body = {"type": "faults.work", "parameters": {"seconds": 0.05}}
ANSWERED_WITHIN = 5.0
BACK_WITHIN = 15.0
HANG, SILENCE, SLOW = 25.0, 30.0, 20.0
RESETS = 500
LATENCY = 0.1
"""Seconds each way: 200 ms more for each answer."""


def run(bench: Bench) -> Outcome:
    """One fault after the other, the submits going on."""
    outcome = Outcome(faults=f"hang, half-open, {RESETS} resets, +200 ms")
    with proxied(bench.room("site")) as (site, proxy):
        site.start(workers=2)
        with Load(site, [BODY] * 100_000, rate=RATE, clients=120) as load:
            for name, fault in (
                ("Redis hung", lambda: _hang(site, HANG, outcome)),
                ("half-open", lambda: _silence(site, proxy, outcome)),
                ("resets", lambda: _resets(site, proxy, bench)),
            ):
                _phase(name, fault, site, load, outcome)
            _phase("latency", lambda: _latency(proxy), site, load, outcome)
            load.stop()
        settle(site)
        evidence = gather(site, load)
        evidence.broken = load.broken
    again = sum(document["attempt"] > 1 for document in evidence.documents.values())
    outcome.notes.append(
        f"answers were {dict(load.statuses)}; {again} jobs needed a second attempt; "
        f"{len(unasked(evidence))} were stored though the answer was 503"
    )
    return outcome.judge(evidence)


def twin(bench: Bench) -> Outcome:
    """A front door that gives Redis a minute for an answer."""
    outcome = Outcome()
    with proxied(bench.room("twin")) as (site, _):
        site.start_web("faults.weakened", "patient", "web")
        site.start_worker()
        site.wait_for_types()
        with Load(site, [BODY] * 1_000, rate=RATE, clients=120) as load:
            _phase("Redis hung", lambda: _hang(site, 8.0, outcome), site, load, outcome)
            load.stop()
    return outcome


@contextmanager
def proxied(directory: Path) -> Iterator[tuple[Site, Proxy]]:
    """A site that reaches its Redis through a proxy only."""
    port = free_port()
    with (
        Site(directory, redis_url=f"redis://127.0.0.1:{port}/0") as site,
        Proxy(port, site.server.port) as proxy,
    ):
        try:
            yield site, proxy
        finally:
            site.stop_processes()


def _phase(name: str, fault: Callable[[], None], site: Site, load: Load, outcome: Outcome) -> None:
    load.slowest = 0.0
    fault()
    began = time.monotonic()
    with suppress(AssertionError):
        eventually(lambda: _job_done(site), within=2 * BACK_WITHIN)
    back = time.monotonic() - began
    outcome.recovery.append(back)
    outcome.notes.append(f"{name}: the slowest answer after {load.slowest:.2f} s, a job done after {back:.1f} s")
    outcome.require(back < BACK_WITHIN, f"{name}: a job was done after {back:.1f} s")
    outcome.require(load.slowest < ANSWERED_WITHIN, f"{name}: an answer took {load.slowest:.2f} s")


def _job_done(site: Site) -> bool:
    try:
        with closing(Client(site.port)) as client:
            return client.post("/jobs", {**BODY, "wait": 1, "owner": PROBE}).status == 200
    except BROKEN:
        return False


def _hang(site: Site, seconds: float, outcome: Outcome) -> None:
    """Redis stands still."""
    os.kill(site.server.pid, signal.SIGSTOP)
    try:
        _watch_health(site, seconds, outcome)
    finally:
        os.kill(site.server.pid, signal.SIGCONT)


def _watch_health(site: Site, seconds: float, outcome: Outcome) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with closing(Client(site.port)) as client:
            answer = client.get("/health/live")
        outcome.require(answer.status == 200, f"/health/live was {answer.status} while Redis hung")
        outcome.require(answer.seconds < ANSWERED_WITHIN, f"/health/live took {answer.seconds:.1f} s while Redis hung")
        time.sleep(0.5)


def _silence(site: Site, proxy: Proxy, outcome: Outcome) -> None:
    """Whatever is connected, or connects meanwhile, hears nothing, for good."""
    with proxy.silence():
        _watch_health(site, SILENCE, outcome)


def _resets(site: Site, proxy: Proxy, bench: Bench) -> None:
    for _ in range(RESETS):
        proxy.reset_one(bench.chance)
        time.sleep(bench.chance.uniform(0.01, 0.07))


def _latency(proxy: Proxy) -> None:
    proxy.delay = LATENCY
    time.sleep(SLOW)
    proxy.delay = 0.0


ROW = Row(
    "7",
    "20 submits/s: Redis hung, half-open TCP, resets, latency",
    run,
    twin_is="no time limit for answers",
    twin=twin,
    beside="outages",
)
