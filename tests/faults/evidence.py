"""What can be seen of the jobs from outside, over HTTP and in Redis: all that the invariants are judged by."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from redis import Redis
from support.eventually import eventually
from support.stored import job_ids

from faults.load import Load
from faults.site import Site
from jobs.model.event import Event
from jobs.model.keys import KEYS
from jobs.model.status import Status

Fields = dict[str, str]
_ID = re.compile(r'"id": "([0-9a-f-]+)"')
PROBE = "probe"
"""The owner of jobs by which a row only looks whether jobs are done."""
SETTLED_WITHIN = 90.0
AT_ONCE = 2000


@dataclass
class Evidence:
    """One look at everything. Times and ids are text, as they came."""

    accepted: dict[str, list[str]]
    """Ids that an answer named as accepted, by the key of their submit."""
    documents: dict[str, dict[str, Any]]
    """By id, what the API says."""
    records: dict[str, Fields]
    """By id, the hash in Redis."""
    events: dict[str, list[Event]]
    """By id, in the order of the stream."""
    queued: Counter[str] = field(default_factory=Counter)
    """How many messages each job has in the queue."""
    leases: set[str] = field(default_factory=set)
    """The running jobs whose lease somebody keeps."""
    fetched: set[str] = field(default_factory=set)
    """The New jobs whose message a worker has."""
    scheduled: set[str] = field(default_factory=set)
    waiting: set[str] = field(default_factory=set)
    by_status: dict[str, set[str]] = field(default_factory=dict)
    """The ids in the index of each status."""
    statuses: Counter[str] = field(default_factory=Counter)
    """HTTP statuses that were answered."""
    hasty_503: int = 0
    broken: list[str] = field(default_factory=list)
    lasting: list[str] = field(default_factory=list)
    """Keys without a TTL."""
    keys_were_sent: bool = False
    may_be_open: bool = False
    """Jobs need not have ended yet."""

    @property
    def ids(self) -> list[str]:
        return [job_id for ids in self.accepted.values() for job_id in ids]


def settle(site: Site, within: float = SETTLED_WITHIN) -> None:
    """Wait until no job is New or InProgress; whatever still is at the deadline is the invariants' to complain of."""
    try:
        eventually(lambda: not _open_jobs(site.redis), within)
    except AssertionError:
        return


def _open_jobs(redis: Redis) -> int:
    """Counted at one moment: a job that goes back to New in between would be in neither index."""
    with redis.pipeline(transaction=True) as pipe:
        counts = pipe.zcard(KEYS.index_of_status(Status.NEW)).zcard(KEYS.index_of_status(Status.IN_PROGRESS)).execute()
    return sum(counts)


def gather(site: Site, load: Load | None = None, ids: Iterable[str] = (), **more: Any) -> Evidence:
    """Look at all jobs now. ``ids`` are accepted ones that no ``load`` knows of."""
    accepted = dict(load.accepted) if load else {}
    accepted |= {job_id: [job_id] for job_id in ids}
    redis = site.redis
    evidence = Evidence(
        accepted=accepted,
        documents=_documents(site),
        records=_records(redis),
        events=_events(redis),
        queued=queued(redis),
        leases=set(redis.zrange(KEYS.leases, 0, -1)),
        fetched=set(redis.zrange(KEYS.fetched, 0, -1)),
        scheduled=set(redis.zrange(KEYS.scheduled, 0, -1)),
        waiting={job_id for key in redis.scan_iter(KEYS.waiting("*")) for job_id in redis.zrange(key, 0, -1)},
        by_status={str(s): set(redis.zrange(KEYS.index_of_status(s), 0, -1)) for s in Status},
        lasting=[key for key in redis.scan_iter(count=AT_ONCE) if redis.ttl(key) == -1],
        **more,
    )
    if load is not None:
        evidence.statuses, evidence.hasty_503 = load.statuses, load.hasty_503
    return evidence


def queued(redis: Redis) -> Counter[str]:
    """The jobs whose message lies in the queue."""
    return Counter(found[1] for text in redis.lrange("default", 0, -1) if (found := _ID.search(text)))


def without_message(redis: Redis) -> set[str]:
    """New jobs whose message is in no queue: a worker has fetched it, or lost it."""
    new = set(redis.zrange(KEYS.index_of_status(Status.NEW), 0, -1))
    return new - queued(redis).keys() - set(redis.zrange(KEYS.scheduled, 0, -1))


def _documents(site: Site) -> dict[str, dict[str, Any]]:
    """Every job, from the list, page by page."""
    found, path = {}, "/jobs?limit=200"
    with closing(site.client()) as client:
        while path:
            answer = eventually(lambda where=path: (a := client.get(where)).status == 200 and a, within=20)
            page = answer.document
            found |= {job["id"]: job for job in (page if isinstance(page, list) else page["jobs"])}
            link = re.match(r"<([^>]+)>", answer.headers.get("link", ""))
            path = link and "{0.path}?{0.query}".format(urlsplit(link[1]))
    return found


def _records(redis: Redis) -> dict[str, Fields]:
    ids = job_ids(redis)
    found: dict[str, Fields] = {}
    for start in range(0, len(ids), AT_ONCE):
        some = ids[start : start + AT_ONCE]
        pipe = redis.pipeline(transaction=False)
        for job_id in some:
            pipe.hgetall(KEYS.record(job_id))
        found |= {job_id: fields for job_id, fields in zip(some, pipe.execute(), strict=True) if fields}
    return found


def _events(redis: Redis) -> dict[str, list[Event]]:
    found, last = defaultdict(list), "-"
    while entries := redis.xrange(KEYS.stream, last, "+", count=AT_ONCE):
        for _, fields in entries:
            event = Event.from_json(fields["event"])
            found[event.job_id].append(event)
        last = f"({entries[-1][0]}"
    return dict(found)


def unasked(evidence: Evidence) -> list[str]:
    """Jobs that no answer named, probes apart: the connection to Redis broke when the script had done its work."""
    known = set(evidence.ids)
    return [i for i, fields in evidence.records.items() if i not in known and fields["owner"] != PROBE]


def attempt_of(fields: Fields) -> int:
    return int(fields.get("attempt") or 0)


def result_of(document: dict[str, Any]) -> dict[str, Any]:
    result = document.get("result")
    return result if isinstance(result, dict) else {}


def stale_writes_refused(redis: Redis) -> int:
    return int(redis.hget(KEYS.counts, "stale_writes_refused") or 0)
