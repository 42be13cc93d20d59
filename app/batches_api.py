"""``/jobs/batch`` and ``/batches``: many jobs in one step, and one id to wait for, poll and follow them all."""

import math
from typing import Any

import orjson
from flask import Response, request
from flask_smorest import Blueprint

from app.answers import answer_empty, answer_json, asked, base_url, with_preference, with_replay
from app.batch_schemas import BatchJobsQuerySchema, BatchSchema, BatchSubmitSchema
from app.described import SUBMITTED, VERSIONED, accepted, described, headers, not_modified, problems, reads
from app.documents import job_list
from app.front_door import front_door
from app.prefer import preference_applied
from app.request_parser import RequestParser, require_json_accepted
from app.schemas import JobSchema, WaitQuerySchema
from app.submitting import batch_submission, canonical, choose
from app.waiting import deadline, submit_batch, wait_for_batch
from jobs.errors import BatchNotFound
from jobs.model.record import rfc3339
from jobs.store.batch import MOST_JOBS, Batch

blp = Blueprint("batches", __name__, description="Batches: many jobs at once, under one id.")
blp.ARGUMENTS_PARSER = RequestParser()
blp.before_request(require_json_accepted)

LONGEST_PAUSE = 60
"""Seconds; the most that a poll is put off."""


@blp.route("/jobs/batch", methods=["POST"])
@blp.arguments(BatchSubmitSchema())
@described(
    reads("Prefer", "Idempotency-Key", "traceparent"),
    blp.response(
        200,
        BatchSchema,
        headers=headers("Content-Location", *SUBMITTED),
        description="All of its jobs ended within the wait, however they did.",
    ),
    accepted(BatchSchema),
    *problems(400, 406, 409, 413, 415, 422, 503),
)
def submit(body: dict[str, Any]) -> Response:
    """Submit up to 1,000 jobs: all of them are accepted in one step, or none. Wait for their end, if asked to."""
    door = front_door()
    prefer, choice = choose(door, body.get("wait"))
    batch = batch_submission(door, body)
    until, base, applied = deadline(choice.seconds), base_url(door), preference_applied(prefer, choice, False)
    accepted, is_new = submit_batch(door, batch)
    ids = [job.id for job in batch.jobs] if is_new else door.batches.job_ids(accepted.id, 0, MOST_JOBS)
    replayed = not is_new and "Idempotency-Key" in request.headers

    def answer(found: Batch) -> Response:
        response = _answer(base, found, jobs=ids)
        response.headers["Content-Location" if found.is_final else "Location"] = _url(base, found.id)
        return with_preference(with_replay(response, replayed), applied)

    return wait_for_batch(door, accepted, until, answer)


@blp.route("/batches/<batch_id>")
@blp.arguments(WaitQuerySchema(), location="query")
@described(
    reads("Prefer", "If-None-Match"),
    blp.response(200, BatchSchema, headers=headers(*VERSIONED), description="All of its jobs have ended."),
    blp.alt_response(202, schema=BatchSchema, headers=headers("Retry-After", *VERSIONED), description="It goes on."),
    not_modified(),
    *problems(404, 406, 422, 503),
)
def look(query: dict[str, Any], batch_id: str) -> Response:
    """Look at a batch, after waiting for its end if asked to."""
    door = front_door()
    prefer, choice = choose(door, query.get("wait"))
    at, until, applied = asked(door), deadline(choice.seconds), preference_applied(prefer, choice, False)

    def answer(batch: Batch) -> Response:
        if at.knows(_etag(batch)):
            response = _with_etag(answer_empty(304), batch)
            if not batch.is_final:
                response.headers["Retry-After"] = str(_retry_after(batch))
        else:
            response = _answer(at.base, batch)
        response.headers["Cache-Control"] = "no-cache"
        return with_preference(response, applied)

    return wait_for_batch(door, door.batches.get(canonical(batch_id, BatchNotFound)), until, answer)


@blp.route("/batches/<batch_id>/jobs")
@blp.arguments(BatchJobsQuerySchema(), location="query")
@described(
    blp.response(
        200,
        JobSchema(many=True),
        headers=headers("Link"),
        description="In the order of the submit; `Link` with rel=next when there are more.",
    ),
    *problems(404, 406, 422, 503),
)
def list_jobs(query: dict[str, Any], batch_id: str) -> Response:
    """The jobs of a batch; those that were deleted since are left out."""
    door, base = front_door(), base_url(front_door())
    batch = door.batches.get(canonical(batch_id, BatchNotFound))
    ids = door.batches.job_ids(batch.id, query["after"], query["limit"])
    records = door.store.first_records(ids)
    end = query["after"] + (len(records) if len(records) < len(ids) else query["limit"])
    response = answer_json(job_list([record for record in records if record is not None], base))
    if end < batch.total:
        link = f"{_url(base, batch.id)}/jobs?limit={query['limit']}&after={end}"
        response.headers["Link"] = f'<{link}>; rel="next"'
    return response


def _answer(base: str, batch: Batch, **more: Any) -> Response:
    response = answer_json(orjson.dumps({**_members(base, batch), **more}), 200 if batch.is_final else 202)
    if not batch.is_final:
        response.headers["Retry-After"] = str(_retry_after(batch))
    return _with_etag(response, batch)


def _members(base: str, batch: Batch) -> dict[str, Any]:
    own = _url(base, batch.id)
    percent = round(100 * batch.ended / batch.total, 1)
    return {
        "id": batch.id,
        "owner": batch.owner,
        "status": batch.status,
        "total": batch.total,
        "counts": {str(status): count for status, count in batch.counts.items()},
        "progress": {"percent": percent, "current": batch.ended, "total": batch.total, "message": None},
        "created_at": rfc3339(batch.created_at),
        "finished_at": rfc3339(batch.finished_at),
        "expires_at": rfc3339(batch.expires_at),
        "links": {"self": own, "jobs": f"{own}/jobs", "events": f"{own}/events"},
    }


def _url(base: str, batch_id: str) -> str:
    return f"{base}/batches/{batch_id}"


def _with_etag(response: Response, batch: Batch) -> Response:
    response.set_etag(_etag(batch))
    return response


def _etag(batch: Batch) -> str:
    """The document's version: it changes with every move of one of its jobs."""
    counts = ".".join(str(count) for count in batch.counts.values())
    return f"{batch.id[:8]}-{batch.created_at:x}-{batch.status}-{counts}-{batch.finished_at or 0:x}"


def _retry_after(batch: Batch) -> int:
    """Whole seconds after which the rest is likely to have ended, if it takes as long as what has; at least 1."""
    elapsed, left = (batch.now - batch.created_at) / 1e6, batch.total - batch.ended
    seconds = elapsed * left / batch.ended if batch.ended else elapsed
    return max(1, min(LONGEST_PAUSE, math.ceil(seconds)))
