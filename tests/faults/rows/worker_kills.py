"""Row 1: ``kill -9`` of workers and of their children, under load."""

import random
import time
from typing import Any

from support.eventually import eventually

from faults.evidence import gather, settle
from faults.kills import Killer, OurCensus, recovery_times
from faults.load import Load, submit
from faults.outcome import Bench, Outcome, Row
from faults.site import Site
from faults.table import at
from jobs.model.keys import KEYS
from jobs.model.status import Status

P99, LONGEST = 10.0, 15.0
PAUSE = (0.1, 0.9)
"""Seconds between two kills, at random."""
SECONDS_A_KILL = 1.5
"""What a kill takes, the start of another worker included."""
LONG_JOBS = 100
"""One job in so many takes 2 s."""


def bodies(chance: random.Random, count: int) -> list[dict[str, Any]]:
    """Jobs of 2 to 50 ms, and a few of 2 s that report progress."""
    times = [round(chance.uniform(0.002, 0.05), 4) for _ in range(count)]
    made = [{"type": "faults.work", "parameters": {"seconds": seconds}} for seconds in times]
    for body in made[::LONG_JOBS]:
        body["parameters"] = {"seconds": 2.0, "steps": 4}
    return made


def run(bench: Bench) -> Outcome:
    """Kills go on while jobs come in and are worked off."""
    count, kills = bench.size(10_000, 2_000), bench.size(40, 10)
    with Site(bench.room("site")) as site:
        site.start(workers=2)
        killer = Killer(site, OurCensus(site), bench.chance)
        with Load(site, bodies(bench.chance, count), rate=rate(count, kills)) as load:
            kill_again_and_again(killer, bench.chance, kills)
        settle(site)
        evidence = gather(site, load)
        bench.tell(f"{len(killer.kills)} kills")
    outcome = Outcome(faults=_kinds(killer), recovery=recovery_times(killer.kills, evidence)).judge(evidence)
    failed = [i for i, document in evidence.documents.items() if document["status"] != "Completed"]
    outcome.require(not failed, f"{len(failed)} good jobs are not Completed", failed[0] if failed else "")
    outcome.require(len(evidence.ids) == count, f"{len(evidence.ids)} of {count} submits were accepted")
    return judge_times(outcome)


def rate(count: int, kills: int) -> float:
    """Submits a second that last as long as the kills do."""
    return count / (kills * SECONDS_A_KILL)


def kill_again_and_again(killer: Killer, chance: random.Random, count: int) -> None:
    """Half of the kills are of children, a quarter of main processes alone, a quarter of whole workers."""
    kinds = [killer.child, killer.main, killer.child, killer.whole]
    kinds = [kinds[n % len(kinds)] for n in range(count)]
    chance.shuffle(kinds)
    for kill in kinds:
        time.sleep(chance.uniform(*PAUSE))
        kill()


def judge_times(outcome: Outcome) -> Outcome:
    p99, longest = at(outcome.recovery, 0.99), max(outcome.recovery, default=0.0)
    outcome.require(outcome.recovery, "no kill took a job with it: nothing was tried")
    outcome.require(p99 < P99, f"recovery p99 is {p99:.2f} s, not below {P99:g}")
    return outcome.require(longest < LONGEST, f"the longest recovery is {longest:.2f} s, not below {LONGEST:g}")


def _kinds(killer: Killer) -> str:
    kinds = [kill.what for kill in killer.kills]
    return ", ".join(f"{kinds.count(kind)} x {kind}" for kind in dict.fromkeys(kinds))


def twin(bench: Bench) -> Outcome:
    """Workers that renew no lease and look for no lost job: one is killed, another one is there."""
    with Site(bench.room("twin"), JOBS_LEASE="1") as site:
        site.worker_module = ("faults.weakened", "unwatched", "worker")
        site.start(workers=1)
        ids = [submit(site, parameters={"seconds": 3.0}) for _ in range(4)]
        eventually(lambda: site.redis.zcard(KEYS.index_of_status(Status.IN_PROGRESS)) == len(ids))
        Killer(site, OurCensus(site), bench.chance).whole()
        settle(site, within=6)
        return Outcome().judge(gather(site, ids=ids))


ROW = Row(
    "1",
    "jobs of 2 to 50 ms, some 2 s, 2 workers: kill -9",
    run,
    twin_is="no leases renewed, no reconciler",
    twin=twin,
    twin_breaks="I1",
    twin_in_short=True,
)
