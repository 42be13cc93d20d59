"""Row 5: a worker that stands still past its leases, and then goes on."""

import os
import signal
import time
from contextlib import suppress

from support.eventually import eventually

from faults.evidence import gather, settle, stale_writes_refused
from faults.kills import OurCensus
from faults.load import submit
from faults.outcome import Bench, Outcome, Row
from faults.site import Site, children_of
from jobs.model.keys import KEYS

LEASE = 2.0
SECONDS = 5.0
LATE = 5.0
"""Seconds past the end of the jobs in which the stale attempts come to theirs."""


def run(bench: Bench) -> Outcome:
    """20 jobs of 5 s run in the worker that is stopped; another one takes them; the first one wakes up."""
    count = bench.size(20, 4)
    outcome = _run(bench, "site", count, ("workers",))
    outcome.faults = f"{count} attempts stopped"
    return outcome.require((outcome.refused or 0) >= count, f"{outcome.refused} of {count} stale writes were refused")


def twin(bench: Bench) -> Outcome:
    """No attempt number is compared at a write."""
    return _run(bench, "twin", 4, ("faults.weakened", "unfenced", "worker"))


def _run(bench: Bench, name: str, count: int, module: tuple[str, ...]) -> Outcome:
    with Site(bench.room(name), JOBS_LEASE=str(LEASE)) as site:
        site.worker_module = module
        site.start_web()
        first = site.start_worker(children=count)
        site.wait_for_types()
        half = {"seconds": SECONDS, "steps": 10}
        ids = [submit(site, parameters=half if n % 2 else {"seconds": SECONDS}) for n in range(count)]
        pids = [first.popen.pid, *(child.pid for child in children_of(first))]
        eventually(lambda: len(OurCensus(site).running(set(pids))) == count, within=10)
        time.sleep(SECONDS / 2 + 0.3)  # in the second half of each job: the next thing that it does is a write
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        stopped = time.monotonic()
        site.start_worker(children=count)
        time.sleep(max(0.0, stopped + 3 * LEASE - time.monotonic()))
        outcome = Outcome()
        taken = eventually(lambda: _taken(site, ids), within=10)
        outcome.notes.append(f"{taken} of {count} were running elsewhere when the worker went on")
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        settle(site, within=30)
        with suppress(AssertionError):
            eventually(lambda: stale_writes_refused(site.redis) >= count, within=LATE)
        outcome.refused = stale_writes_refused(site.redis)
        return outcome.judge(gather(site, ids=ids))


def _taken(site: Site, ids: list[str]) -> int:
    """How many have been started again, once all have."""
    attempts = [int(site.redis.hget(KEYS.record(job_id), "attempt") or 0) for job_id in ids]
    return len(ids) if all(attempt > 1 for attempt in attempts) else 0


ROW = Row(
    "5",
    "jobs of 5 s, lease 2 s: SIGSTOP of a worker for 3 leases",
    run,
    twin_is="no fencing",
    twin=twin,
    twin_breaks="I5",
    twin_in_short=True,
    beside="outages",
)
