"""Row 8: thousands of waiting requests while Redis is restarted and their pub/sub connection is cut."""

import time
from datetime import datetime

from faults.crowd import Crowd, Reply, Request
from faults.evidence import gather, settle
from faults.kills import standing_still
from faults.outcome import Bench, Outcome, Row
from faults.site import Site, children_of
from faults.usage import not_come_back, usage

LATE = 1.0
"""Seconds past its wait that an answer may take, and that an end may go unnoticed."""
RATE = 400.0
CUTS = 5
GAP = 0.5
"""Seconds without a subscription."""


def run(bench: Bench) -> Outcome:
    """Half of the jobs end within the wait of their request, many of them while Redis is away."""
    return _run(bench, "site", bench.size(5_000, 500), 20.0, ("app",))


def twin(bench: Bench) -> Outcome:
    """A gap in the subscription is not noticed, and the record is not read at the end of the wait."""
    return _run(bench, "twin", 200, 8.0, ("faults.weakened", "deaf", "web"))


def _run(bench: Bench, name: str, count: int, wait: float, web: tuple[str, ...]) -> Outcome:
    with Site(bench.room(name)) as site:
        site.start_web(*web)
        site.start_worker()
        site.wait_for_types()
        all_sent, before = count / RATE, usage(site)
        crowd = Crowd(site, site.port, _plan(bench, count, wait))
        time.sleep(all_sent + 2.0)  # a submit needs Redis: the last one is in
        site.restart_redis(down=1.0)
        for _ in range(CUTS):
            time.sleep(0.5)
            _cut(site)
        replies = crowd.replies(within=wait + 60)
        settle(site)
        evidence = gather(site, ids=[reply.job_id for reply in replies if reply.job_id])
        held, after = not_come_back(site, before), usage(site)
    outcome = Outcome(faults=f"1 x Redis, {CUTS} x pub/sub cut", violations=held).judge(evidence)
    outcome.notes.append(f"the web process had {before.megabytes} MB before and {after.megabytes} MB after")
    statuses = sorted({reply.status for reply in replies})
    counts = ", ".join(f"{sum(reply.status == status for reply in replies)} x {status}" for status in statuses)
    slowest = max(reply.seconds for reply in replies)
    outcome.notes.append(f"answers were {counts}; the slowest after {slowest:.2f} s of a wait of {wait:g} s")
    for reply in replies:
        _judge(outcome, reply, wait, evidence.documents.get(reply.job_id, {}).get("finished_at"))
    return outcome


def _cut(site: Site) -> None:
    """The web process is without its subscription for a while: it stands still, so that it cannot renew it at once."""
    with standing_still([child.pid for child in children_of(site.webs[site.port])]):
        site.redis.client_kill_filter(_type="pubsub")
        time.sleep(GAP)


def _plan(bench: Bench, count: int, wait: float) -> list[Request]:
    plan = []
    for n in range(count):
        sent = n / RATE
        inside = count / RATE + bench.chance.uniform(0.0, 8.0) - sent  # while Redis is away, and just after
        delay = inside if n % 2 else wait + 4.0
        plan.append({"at": sent, "body": {"type": "faults.work", "wait": wait, "delay": round(delay, 3)}})
    return plan


def _judge(outcome: Outcome, reply: Reply, wait: float, finished_at: str | None) -> None:
    outcome.require(reply.status in (200, 202), f"was answered {reply.status} {reply.broke}", reply.job_id)
    outcome.require(reply.seconds < wait + LATE, f"was answered after {reply.seconds:.2f} s", reply.job_id)
    if reply.status == 202 and finished_at:
        before = reply.answered_at - datetime.fromisoformat(finished_at).timestamp()
        outcome.require(before < LATE, f"had ended {before:.2f} s before it was answered 202", reply.job_id)


ROW = Row(
    "8",
    "5,000 waits of 20 s: Redis restarted, pub/sub connections killed",
    run,
    twin_is="gaps unnoticed",
    twin=twin,
)
