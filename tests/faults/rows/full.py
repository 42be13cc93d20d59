"""Row 11: Redis has no more memory, then its disk is full; new jobs are refused, running ones end, then all is well."""

import resource
import time
from contextlib import closing
from pathlib import Path

from support.eventually import eventually

from faults.client import BROKEN, Client
from faults.evidence import gather, settle
from faults.load import Body, Load, submit
from faults.outcome import Bench, Outcome, Row
from faults.site import Site
from jobs.model.keys import KEYS
from jobs.model.status import Status
from launch.redis_server import find_binary

MEMORY = "24mb"
RUNNING: Body = {"type": "faults.work", "parameters": {"seconds": 3.0}}
BIG: Body = {"type": "faults.work", "delay": 3600, "parameters": {"padding": "x" * 100_000}}
SMALL: Body = {"type": "faults.work", "delay": 3600}
WELL_WITHIN = 15.0


def run(bench: Bench) -> Outcome:
    """One after the other, on one site."""
    outcome = Outcome(faults="maxmemory, disk full")
    directory, options = bench.room("site"), {"maxmemory": MEMORY}
    with Site(directory, redis_options=options, redis_binary=_ignoring_xfsz(directory)) as site:
        site.start(workers=1)
        _memory_is_full(site, outcome)
        _disk_is_full(site, outcome)
    return outcome


def twin(bench: Bench) -> Outcome:
    """Jobs are accepted until Redis has no byte left, also for the end of those that run."""
    outcome = Outcome()
    with Site(bench.room("twin"), redis_options={"maxmemory": MEMORY}) as site:
        site.start_web("faults.weakened", "greedy", "web")
        site.start_worker("faults.weakened", "greedy", "worker")
        site.wait_for_types()
        _memory_is_full(site, outcome)
    return outcome


def _memory_is_full(site: Site, outcome: Outcome) -> None:
    running = [submit(site, **_without_type(RUNNING)) for _ in range(4)]
    with Load(site, [BIG] * 300, clients=2) as load:
        pass
    outcome.require(load.statuses["503"], f"no submit was refused: {dict(load.statuses)}")
    with Load(site, [SMALL] * 10_000, rate=100) as more:  # it stays full
        _must_end(site, running, "while Redis was full", outcome)
        more.stop()
    load.merge(more)
    site.redis.config_set("maxmemory", "0")
    _well_again(site, "after there was memory again", outcome)
    _cancel(site, load.ids)
    evidence = gather(site, load)
    evidence.accepted |= {job_id: [job_id] for job_id in running}
    outcome.judge(evidence)
    outcome.notes.append(f"memory: answers were {dict(load.statuses)}")


def _disk_is_full(site: Site, outcome: Outcome) -> None:
    """No file of Redis may grow any more: to Redis that is what a full disk is."""
    running = [submit(site, **_without_type(RUNNING)) for _ in range(4)]
    eventually(lambda: site.redis.zcard(KEYS.index_of_status(Status.IN_PROGRESS)) == len(running))
    _, hard = resource.prlimit(site.server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(site.server.pid, resource.RLIMIT_FSIZE, (1, hard))
    body = {"type": "faults.work", "parameters": {"seconds": 0.01}}
    with Load(site, [body] * 100, rate=20, clients=2) as load:
        pass
    resource.prlimit(site.server.pid, resource.RLIMIT_FSIZE, (hard, hard))
    outcome.require(load.statuses["503"], f"disk full: no submit was refused: {dict(load.statuses)}")
    _well_again(site, "after the disk had room again", outcome)
    settle(site, within=30)
    evidence = gather(site, load)
    evidence.accepted |= {job_id: [job_id] for job_id in running}
    outcome.judge(evidence)
    outcome.notes.append(f"disk: answers were {dict(load.statuses)}")


def _must_end(site: Site, job_ids: list[str], when: str, outcome: Outcome) -> None:
    """Looked at without writing anything."""
    deadline = time.monotonic() + WELL_WITHIN
    while time.monotonic() < deadline:
        statuses = [site.redis.hget(KEYS.record(job_id), "status") for job_id in job_ids]
        if all(status == "Completed" for status in statuses):
            return
        time.sleep(0.1)
    outcome.require(False, f"running jobs did not end {when}: {statuses}")


def _well_again(site: Site, when: str, outcome: Outcome) -> None:
    def well(client: Client) -> bool:
        try:
            return client.post("/jobs", {"type": "faults.work", "wait": 5}).status == 200
        except BROKEN:
            return False

    with closing(site.client()) as client:
        try:
            eventually(lambda: well(client), within=WELL_WITHIN)
        except AssertionError:
            outcome.require(False, f"no job was done within {WELL_WITHIN:g} s {when}")


def _cancel(site: Site, job_ids: list[str]) -> None:
    """Those that would run in an hour only."""
    with closing(site.client()) as client:
        for job_id in job_ids:
            client.post(f"/jobs/{job_id}/cancel", {})


def _ignoring_xfsz(directory: Path) -> str:
    """The server, started so that a write past the limit is an error, as on a full disk, and no signal."""
    script = directory / "server.sh"
    script.write_text(f'#!/bin/sh\ntrap "" XFSZ\nexec {find_binary()} "$@"\n')
    script.chmod(0o755)
    return str(script)


def _without_type(body: Body) -> Body:
    return {name: value for name, value in body.items() if name != "type"}


ROW = Row(
    "11",
    "Redis maxmemory reached, then its disk full",
    run,
    twin_is="no room kept",
    twin=twin,
)
