"""Row 2: every process is asked to stop and started again, in turn, under load."""

import signal
import time
from contextlib import suppress
from subprocess import TimeoutExpired

from faults.evidence import gather, settle
from faults.load import Body, Load
from faults.outcome import Bench, Outcome, Row
from faults.site import Site

WEB_LEAVES_WITHIN = 10.0 + 2.0
GRACE = 5.0
WORKER_LEAVES_WITHIN = GRACE + 3.0
RATE = 40.0


def run(bench: Bench) -> Outcome:
    """Two web processes and two workers; no request fails, for the other one is there."""
    rounds = bench.size(10, 2)
    return _run(bench, "site", rounds, signal.SIGTERM)


def twin(bench: Bench) -> Outcome:
    """SIGKILL in place of SIGTERM."""
    return _run(bench, "twin", 2, signal.SIGKILL)


def _run(bench: Bench, name: str, rounds: int, how: signal.Signals) -> Outcome:
    outcome = Outcome(faults=f"{rounds} x every process")
    with Site(bench.room(name), JOBS_GRACE=str(GRACE)) as site:
        site.start(workers=2)
        site.start_web()
        with Load(site, _bodies(bench), rate=RATE, retry=True, clients=24, keep=False) as load:
            for _ in range(rounds):
                for port in list(site.webs):
                    _restart(site, port, how, outcome)
            load.stop()
        settle(site)
        evidence = gather(site, load)
        evidence.broken = load.broken
    outcome.notes.append(f"answers were {dict(load.statuses)}")
    return outcome.judge(evidence)


def _bodies(bench: Bench) -> list[Body]:
    """Jobs of up to 0.1 s; every other client waits for the end of its job."""
    times = [round(bench.chance.uniform(0.01, 0.1), 3) for _ in range(20_000)]
    waits = [{"wait": 1.0}, {}]
    return [
        {"type": "faults.work", "parameters": {"seconds": seconds}, **waits[n % 2]} for n, seconds in enumerate(times)
    ]


def _restart(site: Site, port: int, how: signal.Signals, outcome: Outcome) -> None:
    """One web process, and at the same time the worker that has been up longest."""
    leaving = [
        (site.webs[port], WEB_LEAVES_WITHIN, "a web process"),
        (site.workers.pop(0), WORKER_LEAVES_WITHIN, "a worker"),
    ]
    began = time.monotonic()
    for process, _, _ in leaving:
        process.popen.send_signal(how)
    for process, within, what in leaving:
        with suppress(TimeoutExpired):
            process.popen.wait(within + 5)
        left = time.monotonic() - began
        outcome.require(left < within, f"{what} left after {left:.1f} s, its grace is {within:g} s")
        process.kill()
    worker = site.start_worker(wait=False)
    site.start_web(port=port)
    site.wait_until_ready(worker)


ROW = Row(
    "2",
    "40 submits/s, 2 web processes, 2 workers: rolling restart by SIGTERM",
    run,
    twin_is="SIGKILL instead",
    twin=twin,
    twin_breaks="I7",
)
