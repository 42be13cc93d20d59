"""What is handed in at a submit, before it is a job."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from secrets import token_hex
from typing import Any
from uuid import uuid4

from jobs.model.callback import Callback
from jobs.model.priority import USUAL
from jobs.model.record import Record
from jobs.model.status import Status

NO_FINGERPRINT = "-"
"""Of a job that nobody can submit a second time: its id is ours and no key was sent."""


def new_traceparent() -> str:
    """A fresh W3C trace context, for a request that brought none."""
    both = token_hex(24)
    return f"00-{both[:32]}-{both[32:]}-01"


def can_be_told(name: str) -> bool:
    """Whether this may be the id or the type of a job: events hold both as they are, and some keys before a blank."""
    return name.isprintable() and not {'"', "\\", " "} & set(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A checked request for a job. ``chosen_id`` and ``idempotency_key`` are what makes it repeatable."""

    type: str
    owner: str
    parameters_json: str
    queue: str
    max_attempts: int
    priority: int = USUAL
    delay: float = 0.0
    """Seconds from now before which it must not run."""
    tags: Mapping[str, str] = field(default_factory=dict)
    traceparent: str = field(default_factory=new_traceparent)
    chosen_id: str | None = None
    idempotency_key: str | None = None
    callback: Callback | None = None
    is_plain: bool = False
    """See :attr:`jobs.model.record.Record.is_plain`."""
    id: str = ""

    def __post_init__(self) -> None:
        if not self.id:
            object.__setattr__(self, "id", self.chosen_id or str(uuid4()))

    def record(self, created_at: int, run_at: int | None, sequence: int) -> Record:
        """The job as it stands right after it was accepted at ``created_at`` (times in microseconds)."""
        return Record(
            id=self.id,
            type=self.type,
            owner=self.owner,
            status=Status.NEW,
            parameters_json=self.parameters_json,
            attempt=0,
            max_attempts=self.max_attempts,
            queue=self.queue,
            priority=self.priority,
            created_at=created_at,
            run_at=run_at,
            sequence=sequence,
            tags_json=self.tags_json,
        )

    def record_fields(self, reply_to: str) -> Iterator[str | int]:
        """What of it goes into the record, name, value, name, value …; ``reply_to`` is told when the job ends."""
        yield from ("parameters", self.parameters_json, "queue", self.queue, "priority", self.priority)
        yield from ("max_attempts", self.max_attempts)
        if self.tags:
            yield from ("tags", self.tags_json)
        if self.callback:
            yield from ("callback", self.callback.text)
        if self.is_plain:
            yield from ("plain", 1)
        if reply_to:
            yield from ("reply_to", reply_to)

    @property
    def tags_json(self) -> str:
        return json.dumps(dict(self.tags), ensure_ascii=False) if self.tags else "{}"

    @property
    def fingerprint(self) -> str:
        """The same for two submits that ask for the same thing, however long they are willing to wait."""
        if self.chosen_id is None and self.idempotency_key is None:
            return NO_FINGERPRINT
        return fingerprint_of(list(self.asked))

    @property
    def asked(self) -> Iterator[Any]:
        """What it asks for, whoever asks, and as often as it is asked."""
        yield from (self.type, self.owner, json.loads(self.parameters_json), self.priority, self.delay, dict(self.tags))
        if self.callback is not None:
            yield [self.callback.text]


def fingerprint_of(asked: Any) -> str:
    """A short text for what is asked for, given as JSON would hold it."""
    return sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:32]


def under_key(fingerprint: str, chosen_id: str | None) -> str:
    """The fingerprint of a whole body: under one Idempotency-Key a chosen id is a part of what is asked for."""
    return fingerprint if chosen_id is None else f"{fingerprint}:{chosen_id}"


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer to a submit. ``record`` is the new job; None when an earlier equal submit had made it."""

    id: str
    record: Record | None
