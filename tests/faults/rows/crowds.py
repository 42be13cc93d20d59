"""Row 13: many who wait and many who poll, and a service that still takes jobs and answers its health check."""

import time
from contextlib import closing

from faults.crowd import Crowd, Request
from faults.evidence import gather, settle
from faults.load import submit
from faults.outcome import Bench, Outcome, Row
from faults.site import Site
from faults.table import at
from faults.usage import not_come_back, usage

SUBMIT_WITHIN, HEALTH_WITHIN = 1.0, 0.2
SECONDS = 15.0
ARRIVE = 5.0
"""Seconds in which the crowd gathers."""


def run(bench: Bench) -> Outcome:
    return _run(bench, "site", bench.size(500, 100), bench.size(1_000, 200), ("app",))


def twin(bench: Bench) -> Outcome:
    """Every request keeps the process for 50 ms."""
    return _run(bench, "twin", 50, 200, ("faults.weakened", "slow", "web"))


def _run(bench: Bench, name: str, waiters: int, pollers: int, web: tuple[str, ...]) -> Outcome:
    with Site(bench.room(name)) as site:
        site.start_web(*web)
        site.start_worker()
        site.wait_for_types()
        open_job = submit(site, delay=SECONDS + ARRIVE + 5)
        before = usage(site)
        crowd = Crowd(site, site.port, _plan(waiters, pollers, open_job))
        time.sleep(ARRIVE)
        submits, healths = _probe(site, SECONDS - ARRIVE)
        replies = crowd.replies(within=60)
        settle(site)
        evidence = gather(site, ids=[open_job, *(r.job_id for r in replies if r.request < waiters and r.job_id)])
        held, after = not_come_back(site, before), usage(site)
    outcome = Outcome(faults=f"{waiters} waiters, {pollers} pollers", violations=held).judge(evidence)
    for reply in replies:
        outcome.require(reply.status in (200, 202), f"answered {reply.status} {reply.broke}", reply.job_id)
    submit_p99, health_p99 = at(submits, 0.99), at(healths, 0.99)
    outcome.notes.append(f"the web process had {before.megabytes} MB before and {after.megabytes} MB after")
    outcome.notes.append(
        f"submit p99 {1000 * submit_p99:.0f} ms of {len(submits)}, health p99 {1000 * health_p99:.0f} ms of "
        f"{len(healths)}; {len(replies)} answers to the crowd"
    )
    outcome.require(submit_p99 < SUBMIT_WITHIN, f"submit p99 was {submit_p99:.2f} s")
    return outcome.require(health_p99 < HEALTH_WITHIN, f"health p99 was {health_p99:.3f} s")


def _plan(waiters: int, pollers: int, job_id: str) -> list[Request]:
    body = {"type": "faults.work", "wait": SECONDS, "delay": SECONDS + 2}
    waiting = [{"at": ARRIVE * n / waiters, "body": body} for n in range(waiters)]
    return waiting + [{"at": ARRIVE * n / pollers, "poll": f"/jobs/{job_id}", "until": SECONDS} for n in range(pollers)]


def _probe(site: Site, seconds: float) -> tuple[list[float], list[float]]:
    """How long submits and health checks take, over and over."""
    submits, healths = [], []
    deadline = time.monotonic() + seconds
    with closing(site.client()) as client:
        while time.monotonic() < deadline:
            submits.append(client.post("/jobs", {"type": "faults.work"}).seconds)
            healths.append(client.get("/health/live").seconds)
            time.sleep(0.05)
    return submits, healths


ROW = Row(
    "13",
    "500 waiting clients, 1,000 pollers: submit p99 < 1 s, health < 200 ms",
    run,
    twin_is="50 ms a request",
    twin=twin,
    beside="load",
)
