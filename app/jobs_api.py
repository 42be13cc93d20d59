"""``/jobs``: submit, wait, poll, list, cancel, delete."""

import json
from typing import Any

import orjson
from flask import Response, request
from flask.views import MethodView
from flask_smorest import Blueprint

from app.answers import (
    Asked,
    answer_accepted,
    answer_empty,
    answer_job,
    answer_json,
    answer_poll,
    answer_submit,
    asked,
    base_url,
    with_preference,
)
from app.callbacks import CALLBACKS
from app.cursor import from_cursor, next_link
from app.described import (
    PREFERRED,
    PROBLEM,
    SUBMITTED,
    VERSIONED,
    accepted,
    described,
    headers,
    not_modified,
    problems,
    reads,
)
from app.documents import job_list
from app.errors import InvalidRequest, answer
from app.front_door import FrontDoor, front_door
from app.prefer import preference_applied
from app.problems import reference
from app.request_parser import RequestParser, require_json_accepted
from app.schemas import CancelSchema, JobSchema, ListQuerySchema, SubmitSchema, WaitQuerySchema
from app.submitting import canonical, choose, submission
from app.waiting import deadline, submit_and_wait, wait
from jobs.errors import NotRetryable, UnknownJobType
from jobs.model.record import Record
from jobs.model.status import Status
from jobs.store.listing import Selection, page

blp = Blueprint("jobs", __name__, url_prefix="/jobs", description="Jobs: submit, wait, poll, list, cancel, delete.")
blp.ARGUMENTS_PARSER = RequestParser()
blp.before_request(require_json_accepted)

ANY_JSON: dict[str, Any] = {"description": "Any JSON."}


@blp.route("")
class Jobs(MethodView):
    """The collection."""

    @blp.arguments(SubmitSchema())
    @described(
        reads("Prefer", "Idempotency-Key", "traceparent"),
        blp.response(
            200,
            JobSchema,
            headers=headers("Content-Location", *SUBMITTED),
            description="It ended within the wait; Failed and Cancelled are states, not errors.",
        ),
        accepted(JobSchema),
        blp.alt_response(
            204,
            headers=headers("Content-Location", *SUBMITTED),
            description="Completed, and `Prefer: return=minimal` was asked for.",
        ),
        *problems(400, 406, 409, 413, 415, 422, 503),
        blp.doc(callbacks=CALLBACKS),
    )
    def post(self, body: dict[str, Any]) -> Response:
        """Submit a job and wait for it, as long as the request says."""
        door = front_door()
        prefer, choice = choose(door, body.get("wait"))
        at, until, has_key = asked(door), deadline(choice.seconds), "Idempotency-Key" in request.headers

        def answer(record: Record, replayed: bool) -> Response:
            minimal = prefer.return_minimal and record.status is Status.COMPLETED
            applied = preference_applied(prefer, choice, minimal)
            return answer_submit(door, at, record, applied, minimal=minimal, replayed=replayed and has_key)

        return submit_and_wait(door, submission(door, body), until, answer)

    @blp.arguments(ListQuerySchema(), location="query")
    @described(
        blp.response(
            200,
            JobSchema(many=True),
            headers=headers("Link"),
            description="Newest first; `Link` with rel=next when there may be more.",
        ),
        *problems(406, 422, 503),
    )
    def get(self, query: dict[str, Any]) -> Response:
        """List jobs."""
        door = front_door()
        selection = Selection(
            owner=query.get("owner"),
            status=Status(query["status"]) if "status" in query else None,
            type=query.get("type"),
            tags=[_tag(text) for text in query["tag"]],
            created_after=query.get("created_after"),
            created_before=_whole_millisecond(query.get("created_before")),
        )
        try:
            after = from_cursor(query["cursor"]) if "cursor" in query else None
        except ValueError as error:
            raise InvalidRequest([("cursor", str(error))]) from error
        records, more = page(door.store, selection, query["limit"], after)
        base = base_url(door)
        response = answer_json(job_list(records, base))
        if more is not None:
            response.headers["Link"] = next_link(f"{base}/jobs", list(request.args.items(multi=True)), more)
        return response


@blp.route("/<job_id:job_id>")
class OneJob(MethodView):
    """One job."""

    @blp.arguments(WaitQuerySchema(), location="query")
    @described(
        reads("Prefer", "If-None-Match"),
        blp.response(200, JobSchema, headers=headers(*VERSIONED), description="It is final."),
        blp.alt_response(202, schema=JobSchema, headers=headers("Retry-After", *VERSIONED), description="It goes on."),
        not_modified(),
        *problems(404, 406, 422, 503),
    )
    def get(self, query: dict[str, Any], job_id: str) -> Response:
        """Look at a job, after waiting for its end if asked to."""
        door = front_door()
        prefer, choice = choose(door, query.get("wait"))
        at, until, applied = asked(door), deadline(choice.seconds), preference_applied(prefer, choice, False)
        record = door.store.get(canonical(job_id))
        return wait(door, record, until, lambda record: answer_poll(door, at, record, applied))

    @described(
        blp.response(204),
        blp.alt_response(409, description="It is not final.", **PROBLEM),
        *problems(404, 406, 503),
    )
    def delete(self, job_id: str) -> Response:
        """Remove a final job."""
        door = front_door()
        record = door.store.get(canonical(job_id))
        door.store.delete(record, json.loads(record.tags_json))
        return answer_empty(204)


@blp.route("/<job_id:job_id>/result")
@blp.arguments(WaitQuerySchema(), location="query")
@described(
    reads("Prefer"),
    blp.response(200, ANY_JSON, headers=headers(*PREFERRED), description="The bare result."),
    blp.alt_response(202, schema=JobSchema, headers=headers("Retry-After", *PREFERRED), description="It goes on."),
    blp.alt_response(
        409,
        headers=headers(*PREFERRED),
        description="`job-failed` or `job-cancelled`, with the job's error.",
        **PROBLEM,
    ),
    *problems(404, 406, 422, 503),
)
def get_result(query: dict[str, Any], job_id: str) -> Response:
    """The result alone."""
    door = front_door()
    prefer, choice = choose(door, query.get("wait"))
    at, until, applied = asked(door), deadline(choice.seconds), preference_applied(prefer, choice, False)
    record = door.store.get(canonical(job_id))
    return wait(door, record, until, lambda record: _answer_result(door, at, record, applied))


@blp.route("/<job_id:job_id>/cancel", methods=["POST"])
@blp.arguments(CancelSchema(), required=False)
@described(
    blp.response(200, JobSchema, headers=headers("ETag")),
    blp.alt_response(409, description="It is Completed or Failed.", **PROBLEM),
    *problems(400, 404, 406, 413, 415, 422, 503),
)
def cancel(body: dict[str, Any], job_id: str) -> Response:
    """Cancel a job: a queued one never starts, a running one is told at its next progress. Idempotent."""
    door = front_door()
    door.store.cancel(canonical(job_id), body.get("force", False))
    return answer_job(asked(door), door.store.get(canonical(job_id)))


@blp.route("/<job_id:job_id>/retry", methods=["POST"])
@described(
    blp.response(202, JobSchema, headers=headers("Location", "Retry-After", "ETag"), description="It is New again."),
    blp.alt_response(409, description="It is neither Failed nor Cancelled, or a plain Celery task.", **PROBLEM),
    *problems(404, 406, 503),
)
def retry(job_id: str) -> Response:
    """Run a Failed or Cancelled job again, with as many attempts as a new one has."""
    door = front_door()
    record = door.store.get(canonical(job_id))
    if record.is_plain:
        raise NotRetryable(record.id, record.type)
    try:
        attempts = door.types.get(record.type).max_attempts
    except UnknownJobType:  # its announcement cannot be read just now
        attempts = record.max_attempts
    new = door.backend.recovery.retry(record, attempts)
    return answer_submit(door, asked(door), new, None, minimal=False)


def _answer_result(door: FrontDoor, at: Asked, record: Record, applied: str | None) -> Response:
    match record.status:
        case Status.COMPLETED:
            response = answer_json(record.result_json or "null")
        case Status.FAILED:
            response = _no_result(at, record, "job-failed", "The job failed", _why(record))
        case Status.CANCELLED:
            detail = f"Job {record.id} was cancelled."
            response = _no_result(at, record, "job-cancelled", "The job was cancelled", detail)
        case _:
            return answer_accepted(door, at, record, applied)
    return with_preference(response, applied)


def _no_result(at: Asked, record: Record, slug: str, title: str, detail: str) -> Response:
    """With the job's error: null in a cancelled one, unless it had failed before and was to be tried again."""
    why = orjson.Fragment(record.error_json or "null")
    return answer(409, detail, slug=slug, title=title, instance=reference(at.path), error=why)


def _why(record: Record) -> str:
    message = json.loads(record.error_json or "{}").get("message", "")
    return f"Job {record.id} failed: {message}"


def _tag(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def _whole_millisecond(at: int | None) -> int | None:
    """A time up to which jobs are listed includes all of its millisecond, for that is how we show times."""
    return at if at is None or at % 1000 else at + 999
