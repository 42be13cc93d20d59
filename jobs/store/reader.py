"""Reading: jobs, what workers announced, and what Redis says of itself."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from redis import Redis
from redis.client import NEVER_DECODE

from jobs.connections.availability import available
from jobs.connections.line import Line, SharedLine
from jobs.connections.scripts import Scripts
from jobs.errors import JobNotFound, StoreRefused
from jobs.model.keys import KEYS
from jobs.model.record import BATCH, FIELDS, Record
from jobs.model.status import FINAL, FINAL_TEXT, Status
from jobs.settings import Settings
from jobs.store.durations import Durations

log = logging.getLogger(__name__)

MOST_BYTES = 4 * 1024 * 1024
"""Of records that are read at once, of which a single one may be longer: the server, this process and an answer of ours
hold all of them."""

_GOES_ON = frozenset(Status) - FINAL


class JobReader:
    """What changes no job. Every method raises StoreUnavailable when Redis cannot be used."""

    def __init__(self, client: Redis, settings: Settings, line: Line | SharedLine | None = None) -> None:
        """``line`` is the short way to the server of ``client``; without it a :class:`jobs.connections.line.Line`."""
        self.client: Any = client  # redis-py's types cannot say that answers are text
        self._settings = settings
        self.stream_limits = settings.stream_limits
        self._ask = (line or Line(client.connection_pool)).ask
        self._scripts = Scripts(client, self._ask)
        self._scripts_at_length = Scripts(client, self._ask_at_length)

    def get(self, job_id: str) -> Record:
        """The job as it stands.

        Raises:
            JobNotFound.
        """
        record = self.look(job_id)
        if record.type == BATCH:
            raise JobNotFound(job_id)
        return record

    def look(self, any_id: str) -> Record:
        """The record of that id, a job's or a batch's: what is waited for.

        Raises:
            JobNotFound.
        """
        with available():
            return self._record(any_id, _as_dict(self._ask("HGETALL", KEYS.record(any_id))))

    def watch(self, job_id: str, reply_to: str) -> Record:
        """The job as it stands; if it is not final, ``reply_to`` is told when it ends.

        Raises:
            JobNotFound.
        """
        return self.record(job_id, self.call("watch", [KEYS.record(job_id)], [reply_to, FINAL_TEXT]))

    def record(self, job_id: str, flat: Sequence[str]) -> Record:
        """A record from what HGETALL gives a script: field, value, field, value …

        Raises:
            JobNotFound: it is empty.
        """
        return self._record(job_id, _as_dict(flat))

    def ended(self, job_ids: Sequence[str]) -> list[str]:
        """Those of the jobs that need not be waited for: final, gone, or damaged."""
        with available(), self.client.pipeline(transaction=False) as pipe:
            for job_id in job_ids:
                pipe.hget(KEYS.record(job_id), "status")
            statuses = pipe.execute(raise_on_error=False)
        return [job_id for job_id, status in zip(job_ids, statuses, strict=True) if status not in _GOES_ON]

    def durations(self, job_type: str) -> tuple[Durations, float]:
        """How long jobs of the type have taken, and what Redis's clock says (seconds)."""
        with available(), self.client.pipeline(transaction=False) as pipe:
            buckets, (seconds, micros) = pipe.hgetall(KEYS.durations(job_type)).time().execute()
        return Durations.from_redis(buckets), seconds + micros / 1e6

    def load(self) -> tuple[int, float]:
        """How many jobs have ended so far, and the share of Redis's maxmemory in use (0 without one)."""
        with available(), self.client.pipeline(transaction=False) as pipe:
            finished, memory = pipe.hget(KEYS.counts, "finished").info("memory").execute()
        most = memory.get("maxmemory", 0)
        return int(finished or 0), memory["used_memory"] / most if most else 0.0

    def server(self) -> dict[str, Any]:
        """What Redis says of itself: INFO, as redis-py reads it."""
        with available():
            info: dict[str, Any] = self.client.info()
            return info

    def run_id(self) -> str:
        """Which run of Redis answers: another one after a restart or a failover; '' where that is not told."""
        with available():
            return str(self.client.info("server").get("run_id", ""))

    # --- job types

    def announce(self, types: Mapping[str, str]) -> None:
        """Store what a worker runs: descriptions as JSON, by name."""
        if types:
            self.call("announce", [KEYS.types, KEYS.types_seen], [part for pair in types.items() for part in pair])

    def announced_types(self) -> dict[str, str]:
        """Every description ever announced, by name."""
        with available():
            texts: dict[str, str] = self.client.hgetall(KEYS.types)
            return texts

    def types_seen_within(self, seconds: int) -> list[str]:
        """The names announced in the last ``seconds``, by Redis's clock."""
        with available():
            now, _ = self.client.time()
            names: list[str] = self.client.zrangebyscore(KEYS.types_seen, now - seconds, "+inf")
            return names

    def call(self, script: str, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """What the script of that name answers."""
        with available():
            return self._scripts.call(script, keys, args)

    def insist(self, script: str, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """The same, asked again when the connection breaks: for a script that knows what it has done already."""
        with available():
            return self._scripts.insist(script, keys, args)

    @property
    def lease_micros(self) -> int:
        """How long a lease lasts, in Redis's unit."""
        return int(self._settings.lease * 1e6)

    def _record(self, job_id: str, fields: Mapping[str, str]) -> Record:
        if "status" not in fields:
            raise JobNotFound(job_id)
        try:
            return Record.from_redis(job_id, fields, self._settings.retention)
        except (KeyError, ValueError) as error:
            raise StoreRefused(f"the record of job {job_id}: {error!r}") from error

    def records(self, job_ids: Sequence[str]) -> Iterator[Record | None]:
        """The record of each job, as :meth:`first_records` has it; read some megabytes at a time, when they are due."""
        start = 0
        while start < len(job_ids):
            found = self.first_records(job_ids[start:])
            start += len(found)
            yield from found

    def first_records(self, job_ids: Sequence[str]) -> list[Record | None]:
        """The records of the first jobs, of so many as fit into ``MOST_BYTES``, and of one at least.

        None stands for one that is damaged, or no longer there: an expired one leaves its index entries to the sweep.
        """
        if not job_ids:
            return []
        keys = [KEYS.record(job_id) for job_id in job_ids]
        with available():
            found = self._scripts_at_length.call("records", keys, [MOST_BYTES, *FIELDS])
        return [self._sound(job_id, values) for job_id, values in zip(job_ids, found, strict=False)]

    def _sound(self, job_id: str, values: Sequence[bytes | None] | Exception) -> Record | None:
        try:
            with available():
                if isinstance(values, Exception):
                    raise values
                return self._record(job_id, _as_text(values))
        except StoreRefused as error:
            log.error("the record of job %s is damaged: %s", job_id, error.refusal)
        except JobNotFound:
            pass
        return None

    def _ask_at_length(self, *command: Any) -> Any:
        """What the server answers, in bytes; not on the short way, where others would wait behind a long answer."""
        return self.client.execute_command(*command, **{NEVER_DECODE: True})


def _as_text(values: Sequence[bytes | None]) -> Mapping[str, str]:
    return {name: value.decode() for name, value in zip(FIELDS, values, strict=True) if value is not None}


def _as_dict(found: Mapping[str, str] | Sequence[str]) -> Mapping[str, str]:
    """What HGETALL gives: field, value, field, value … to a script, and to whoever speaks the old protocol."""
    return found if isinstance(found, Mapping) else dict(zip(found[::2], found[1::2], strict=True))
