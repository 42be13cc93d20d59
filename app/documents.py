"""The job document of the contract, and the seed's smaller one."""

from typing import Any

import orjson

from jobs.model.record import Record, rfc3339
from jobs.model.status import Status


def job_document(record: Record, base: str) -> bytes:
    """The job as JSON; ``base`` is what its links start with. Stored JSON goes in as it is, unread."""
    return orjson.dumps(_members(record, base))


def job_list(records: list[Record], base: str) -> bytes:
    return orjson.dumps([_members(record, base) for record in records])


def seed_document(record: Record) -> bytes:
    """What the seed's endpoints answer."""
    return orjson.dumps(
        {
            "jobId": record.id,
            "owner": record.owner,
            "status": record.status,
            "parameters": orjson.Fragment(record.parameters_json),
        }
    )


def self_url(job_id: str, base: str) -> str:
    return f"{base}/jobs/{job_id}"


def etag(record: Record) -> str:
    """The document's version, without quotes: it changes with every event of the job, and with nothing else.

    An id may be used again after a DELETE, but not in the same microsecond.
    """
    return f"{record.id[:8]}-{record.created_at:x}-{record.sequence}"


def _members(record: Record, base: str) -> dict[str, Any]:
    own = self_url(record.id, base)
    return {
        "id": record.id,
        "type": record.type,
        "owner": record.owner,
        "status": record.status,
        "parameters": orjson.Fragment(record.parameters_json),
        "result": _json(record.result_json if record.status is Status.COMPLETED else None),
        "error": _json(record.error_json),
        "progress": _json(record.progress_json),
        "attempt": record.attempt,
        "max_attempts": record.max_attempts,
        "queue": record.queue,
        "priority": record.priority,
        "tags": orjson.Fragment(record.tags_json),
        "created_at": rfc3339(record.created_at),
        "run_at": rfc3339(record.run_at),
        "started_at": rfc3339(record.started_at),
        "finished_at": rfc3339(record.finished_at),
        "expires_at": rfc3339(record.expires_at),
        "duration": record.duration,
        "links": {"self": own, "result": f"{own}/result", "events": f"{own}/events"},
    }


def _json(text: str | None) -> orjson.Fragment | None:
    return None if text is None else orjson.Fragment(text)
