"""Row 6: ``kill -9`` of Redis under a steady load."""

import time
from contextlib import closing

from support.eventually import eventually

from faults.client import BROKEN, Client
from faults.evidence import PROBE, gather, settle, unasked
from faults.load import Body, Load
from faults.outcome import Bench, Outcome, Row
from faults.site import Site

RATE = 20.0
ANSWERED_WITHIN = 2.0
LATE = 1.0
"""Seconds more where the machine is also doing other things, as in the short run."""
FIRST_JOB_WITHIN = 10.0
BODY: Body = {"type": "faults.work", "parameters": {"seconds": 0.05}}
LOSES = 1.0
"""Seconds of what Redis wrote that every second kill takes with it, as a power cut may."""


def run(bench: Bench) -> Outcome:
    """Redis is down for 1 to 5 s each time; everything accepted is done in the end."""
    kills = bench.size(10, 2)
    outcome = _run(bench, "site", kills)
    outcome.faults = f"{kills} x Redis, {kills // 2} with the last second of its file"
    longest = max(outcome.recovery, default=99.0)
    return outcome.require(longest < FIRST_JOB_WITHIN, f"the first job after a restart was done after {longest:.1f} s")


def twin(bench: Bench) -> Outcome:
    """The web process does not submit again what Redis has lost."""
    return _run(bench, "twin", 2, "faults.weakened", "forgetful", "web")


def _run(bench: Bench, name: str, kills: int, *web: str) -> Outcome:
    outcome = Outcome()
    with Site(bench.room(name)) as site:
        site.start_web(*web)
        for worker in [site.start_worker(wait=False) for _ in range(2)]:
            site.wait_until_ready(worker)
        site.wait_for_types()
        with Load(site, [BODY] * 100_000, rate=RATE, clients=16) as load:
            for number in range(kills):
                time.sleep(bench.chance.uniform(1.0, 2.0))
                down = bench.chance.uniform(1.0, bench.size(5, 2))
                back_at = site.restart_redis(down, loses=LOSES * (number % 2))
                outcome.recovery.append(_first_job_done(site, back_at))
            time.sleep(1.0)
            load.stop()
        settle(site, within=5 if web else 60)
        evidence = gather(site, load)
    outcome.notes.append(
        f"answers were {dict(load.statuses)}, the slowest after {load.slowest:.2f} s; "
        f"{len(unasked(evidence))} jobs were stored though the answer was 503"
    )
    within = ANSWERED_WITHIN + bench.size(0, 1) * LATE
    outcome.require(load.slowest < within, f"an answer took {load.slowest:.2f} s, not less than {within:g}")
    outcome.require(not load.broken, f"{len(load.broken)} requests were not answered: {load.broken[:1]}")
    return outcome.judge(evidence)


def _first_job_done(site: Site, back_at: float) -> float:
    """Seconds from Redis being back to the end of a job that was submitted after that."""

    def done(client: Client) -> bool:
        try:
            return client.post("/jobs", {**BODY, "wait": 1, "owner": PROBE}).status == 200
        except BROKEN:
            return False

    with closing(site.client()) as client:
        eventually(lambda: done(client), within=30)
    return time.time() - back_at


ROW = Row(
    "6",
    "20 submits/s: Redis kill -9, down 1 to 5 s",
    run,
    twin_is="nothing submitted again",
    twin=twin,
    twin_breaks="I1",
    twin_in_short=True,
    beside="outages",
)
