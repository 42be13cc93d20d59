"""Row 12: a long queue, and then workers: nothing is taken for lost that only waits for its turn."""

import time

import psutil

from faults.evidence import Evidence, gather
from faults.outcome import Bench, Outcome, Row
from faults.site import Site
from jobs.celery_app import create_celery
from jobs.model.submission import Submission
from jobs.settings import Settings

WORKED = 12.0
"""Seconds that the workers get: several leases."""
FLAT = 24 * 1024 * 1024
"""Bytes by which a worker's main process may grow in that time."""


def run(bench: Bench) -> Outcome:
    """The queue is not emptied: what lies in it when the workers have gone must be exactly what is New."""
    return _run(bench, "site", bench.size(100_000, 5_000), False)


def twin(bench: Bench) -> Outcome:
    """A reconciler that took ten waiting jobs for lost ones: their messages are there twice."""
    return _run(bench, "twin", 20_000, True)


def _run(bench: Bench, name: str, count: int, spoil: bool) -> Outcome:
    with Site(bench.room(name), JOBS_LEASE="2", JOBS_STREAM_LENGTH="2000000") as site:
        site.start_web()
        ids = _fill(site, count)
        bench.tell(f"{count} jobs are queued")
        workers = [site.start_worker() for _ in range(2)]
        before = [_memory(worker.popen.pid) for worker in workers]
        if not spoil:
            time.sleep(WORKED)
        grown = max(_memory(worker.popen.pid) - was for worker, was in zip(workers, before, strict=True))
        again = sum(text.count("its message was gone") for text in site.logs())
        codes = [worker.stop(within=40) for worker in workers]
        if spoil:
            site.redis.lpush("default", *site.redis.lrange("default", 0, 9))
        evidence = gather(site, ids=ids, may_be_open=True)
    return _judge(Outcome(faults="none: only the queue").judge(evidence), evidence, again, grown, codes)


def _judge(outcome: Outcome, evidence: Evidence, again: int, grown: int, codes: list[int]) -> Outcome:
    ended = sum(document["status"] == "Completed" for document in evidence.documents.values())
    outcome.notes.append(f"{ended:,} jobs were done; a worker's memory grew by {grown / 1e6:.1f} MB")
    outcome.require(ended, "no job was done")
    outcome.require(codes == [0, 0], f"the workers ended with {codes}")
    outcome.require(not again, f"{again} jobs were enqueued again")
    outcome.require(grown < FLAT, f"a worker's memory grew by {grown / 1e6:.1f} MB")
    for job_id, document in evidence.documents.items():
        attempts = 1 if document["status"] == "Completed" else 0
        outcome.require(document["attempt"] == attempts, f"is {document['status']}: {document['attempt']}", job_id)
    return outcome


def _fill(site: Site, count: int) -> list[str]:
    """Submit straight to the store: it is the queue that is tried here, and not the front door."""
    app = create_celery(Settings.from_environ(site.environ))
    store, queue, ids = app.backend.store, app.backend.queue, []
    for _ in range(count):
        job = Submission(type="faults.work", owner="backlog", parameters_json="{}", queue="default", max_attempts=5)
        ids.append(store.submit(job, queue.message(job)).id)
    app.close()
    return ids


def _memory(pid: int) -> int:
    return int(psutil.Process(pid).memory_info().rss)


ROW = Row(
    "12",
    "100,000 jobs queued, then 2 workers, lease 2 s",
    run,
    twin_is="10 messages twice",
    twin=twin,
    twin_breaks="I4",
    beside="load",
)
