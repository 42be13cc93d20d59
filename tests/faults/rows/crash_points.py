"""Row 3: every process dies at each step of a job's way: submit, fetch, claim, run, finish, acknowledge."""

import contextlib
import time
from collections import Counter

from support.processes import Process

from faults.crashing import CHILD, DIED, MAIN, WEB
from faults.evidence import gather, settle
from faults.load import Body, Load
from faults.outcome import Bench, Outcome, Row
from faults.site import Site

RATE = 150.0
AT_MOST = 240.0
"""Seconds: a bound, not an aim. On a busy machine web processes take longer to be there again."""
STEPS = {"submit": (50, 6), "claim": (50, 6), "finish": (50, 6), "fetch": (15, 2), "ack": (30, 4)}
"""Deaths at each step, in the full and in the short form; a main process takes seconds to be replaced."""
DIES_IN_RUN = 40
"""One job in so many ends its process in the middle of its first attempt."""


def run(bench: Bench) -> Outcome:
    """One worker for each point, and web processes that die; then a sound worker works off what is left."""
    wanted = {step: bench.size(*times) for step, times in STEPS.items()}
    with Site(bench.room("site")) as site:
        for point in WEB:
            site.start_web("faults.crashing", point, "web", WEB_CONCURRENCY="2")
        site.start_web()  # else there would be too few jobs for the workers to die of
        crashing = {point: _start(site, point) for point in (*CHILD, *MAIN)}
        site.wait_for_types()
        with Load(site, _bodies(), rate=RATE, keys=True, retry=True, clients=18) as load:
            deadline = time.monotonic() + AT_MOST
            while not _enough(deaths := _deaths(site), wanted) and time.monotonic() < deadline:
                _start_again_what_died(site, crashing)
                time.sleep(0.2)
            load.stop()
        for worker in list(site.workers):
            site.end(worker, [worker.popen.pid])
        for port in list(site.webs)[: len(WEB)]:
            site.webs.pop(port).kill()
        site.start_worker()
        settle(site)
        evidence = gather(site, load)
    outcome = Outcome(faults=f"{deaths.total()} deaths at {len(deaths)} points").judge(evidence)
    outcome.notes.append(", ".join(f"{point} {count}" for point, count in sorted(deaths.items())))
    return outcome.require(_enough(deaths, wanted), f"there were not {wanted} deaths")


def twin(bench: Bench) -> Outcome:
    """A worker dies right after its fetch, and nobody looks for lost jobs."""
    with Site(bench.room("twin"), JOBS_LEASE="1") as site:
        site.start_web()
        _start(site, "fetch-after")
        site.wait_for_types()
        with Load(site, _bodies()[:12], keys=True) as load:
            pass
        with contextlib.suppress(AssertionError):
            settle(site, within=2)
        site.start_worker("faults.weakened", "unwatched", "worker")
        settle(site, within=4)
        return Outcome().judge(gather(site, load))


def _bodies() -> list[Body]:
    made: list[Body] = [{"type": "faults.work", "parameters": {"seconds": 0.002}} for _ in range(50_000)]
    for body in made[5::DIES_IN_RUN]:
        body["parameters"] = {"seconds": 0.002, "dies_at_attempts": 1}
    return made


def _start(site: Site, point: str) -> Process:
    return site.start_worker("faults.crashing", point, "worker", children=2, wait=False)


def _start_again_what_died(site: Site, crashing: dict[str, Process]) -> None:
    for point, worker in crashing.items():
        if worker.popen.poll() is not None:
            site.end(worker, [worker.popen.pid])
            crashing[point] = _start(site, point)


def _deaths(site: Site) -> Counter[str]:
    found: Counter[str] = Counter()
    for text in site.logs():
        found.update(line.removeprefix(DIED) for line in text.splitlines() if line.startswith(DIED))
    return found


def _enough(deaths: Counter[str], wanted: dict[str, int]) -> bool:
    found: Counter[str] = Counter()
    for point, times in deaths.items():
        found[point.partition("-")[0]] += times
    return all(found[step] >= times for step, times in wanted.items())


ROW = Row(
    "3",
    "each process dies at each step: submit, fetch, claim, run, finish, ack",
    run,
    twin_is="death after the fetch, no reconciler",
    twin=twin,
    twin_breaks="I1",
    beside="crashes",
)
