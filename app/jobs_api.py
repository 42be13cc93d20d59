"""``/jobs``: submit, wait, poll, list, cancel, delete."""

import json
import re
from typing import Any

from flask import Response, request
from flask.views import MethodView
from flask_smorest import Blueprint

from app.answers import answer_empty, answer_json, answer_poll, answer_submit, base_url
from app.callbacks import CALLBACKS, callback_of
from app.cursor import from_cursor, next_link
from app.described import PROBLEM, described, problems
from app.documents import job_list
from app.errors import InvalidRequest, JobHasNoResult
from app.front_door import FrontDoor, front_door
from app.parameters import as_json
from app.prefer import Prefer, WaitChoice, choose_wait, parse_prefer, preference_applied
from app.request_parser import RequestParser, require_json_accepted
from app.schemas import UUID, CancelSchema, JobSchema, ListQuerySchema, SubmitSchema, WaitQuerySchema
from app.waiting import submit_and_wait, wait
from jobs.errors import JobNotFound
from jobs.listing import Selection, page
from jobs.record import Record
from jobs.status import Status
from jobs.submission import Submission, new_traceparent

blp = Blueprint("jobs", __name__, url_prefix="/jobs", description="Jobs: submit, wait, poll, list, cancel, delete.")
blp.ARGUMENTS_PARSER = RequestParser()
blp.before_request(require_json_accepted)

RETRY_AFTER = {"Retry-After": {"description": "Whole seconds, at least 1.", "schema": {"type": "integer"}}}
LOCATION = {"Location": {"description": "The job's own URL.", "schema": {"type": "string", "format": "uri"}}}


@blp.route("")
class Jobs(MethodView):
    """The collection."""

    @blp.arguments(SubmitSchema())
    @described(
        blp.response(
            200, JobSchema, description="It ended within the wait; Failed and Cancelled are states, not errors."
        ),
        blp.alt_response(202, schema=JobSchema, headers={**LOCATION, **RETRY_AFTER}, description="It goes on."),
        blp.alt_response(204, description="Completed, and `Prefer: return=minimal` was asked for."),
        *problems(400, 409, 413, 415, 422, 503),
        blp.doc(callbacks=CALLBACKS),
    )
    def post(self, body: dict[str, Any]) -> Response:
        """Submit a job and wait for it, as long as the request says."""
        door = front_door()
        prefer, choice = choose(door, body.get("wait"))
        record, replayed = submit_and_wait(door, submission(door, body), choice.seconds)
        minimal = prefer.return_minimal and record.status is Status.COMPLETED
        applied = preference_applied(prefer, choice, minimal)
        by_key = replayed and "Idempotency-Key" in request.headers
        return answer_submit(door, record, applied, minimal=minimal, replayed=by_key)

    @blp.arguments(ListQuerySchema(), location="query")
    @described(
        blp.response(
            200, JobSchema(many=True), description="Newest first; `Link` with rel=next when there may be more."
        ),
        *problems(422, 503),
    )
    def get(self, query: dict[str, Any]) -> Response:
        """List jobs."""
        door = front_door()
        selection = Selection(
            owner=query.get("owner"),
            status=Status(query["status"]) if "status" in query else None,
            type=query.get("type"),
            tags=dict(tag.split("=", 1) for tag in query["tag"]),
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


@blp.route("/<job_id>")
class OneJob(MethodView):
    """One job."""

    @blp.arguments(WaitQuerySchema(), location="query")
    @described(
        blp.response(200, JobSchema, description="It is final."),
        blp.alt_response(202, schema=JobSchema, headers=RETRY_AFTER, description="It goes on."),
        blp.alt_response(304, description="`If-None-Match` names this version."),
        *problems(404, 422, 503),
    )
    def get(self, query: dict[str, Any], job_id: str) -> Response:
        """Look at a job, after waiting for its end if asked to."""
        door = front_door()
        prefer, choice = choose(door, query.get("wait"))
        record = wait(door, door.store.get(canonical(job_id)), choice.seconds)
        return answer_poll(door, record, preference_applied(prefer, choice, False))

    @described(
        blp.response(204),
        blp.alt_response(409, description="It is not final.", **PROBLEM),
        *problems(404, 503),
    )
    def delete(self, job_id: str) -> Response:
        """Remove a final job."""
        door = front_door()
        record = door.store.get(canonical(job_id))
        door.store.delete(record, json.loads(record.tags_json))
        return answer_empty(204)


@blp.route("/<job_id>/result")
@blp.arguments(WaitQuerySchema(), location="query")
@described(
    blp.response(200, description="The bare result."),
    blp.alt_response(202, schema=JobSchema, headers=RETRY_AFTER, description="It goes on."),
    blp.alt_response(409, description="`job-failed` or `job-cancelled`, with the job's error.", **PROBLEM),
    *problems(404, 422, 503),
)
def get_result(query: dict[str, Any], job_id: str) -> Response:
    """The result alone."""
    door = front_door()
    prefer, choice = choose(door, query.get("wait"))
    record = wait(door, door.store.get(canonical(job_id)), choice.seconds)
    match record.status:
        case Status.COMPLETED:
            return answer_json(record.result_json or "null")
        case Status.FAILED:
            raise JobHasNoResult("job-failed", "The job failed", _why(record), record.error_json)
        case Status.CANCELLED:
            raise JobHasNoResult("job-cancelled", "The job was cancelled", f"Job {record.id} was cancelled.", None)
    return answer_poll(door, record, preference_applied(prefer, choice, False))


@blp.route("/<job_id>/cancel", methods=["POST"])
@blp.arguments(CancelSchema(), required=False)
@described(
    blp.response(200, JobSchema),
    blp.alt_response(409, description="It is Completed or Failed.", **PROBLEM),
    *problems(400, 404, 413, 415, 422, 503),
)
def cancel(body: dict[str, Any], job_id: str) -> Response:
    """Cancel a job: a queued one never starts, a running one is told at its next progress. Idempotent."""
    door = front_door()
    door.store.cancel(canonical(job_id), body.get("force", False))
    return answer_poll(door, door.store.get(canonical(job_id)), None)


@blp.route("/<job_id>/retry", methods=["POST"])
@described(
    blp.response(202, JobSchema, headers={**LOCATION, **RETRY_AFTER}, description="It is New again."),
    blp.alt_response(409, description="It is neither Failed nor Cancelled.", **PROBLEM),
    *problems(404, 503),
)
def retry(job_id: str) -> Response:
    """Run a Failed or Cancelled job again, with as many attempts as a new one has."""
    door = front_door()
    record = door.store.get(canonical(job_id))
    door.backend.recovery.retry(record, door.types.max_attempts(record.type))
    return answer_submit(door, door.store.get(record.id), None, minimal=False)


def _whole_millisecond(at: int | None) -> int | None:
    """A time up to which jobs are listed includes all of its millisecond, for that is how we show times."""
    return at if at is None or at % 1000 else at + 999


def canonical(job_id: str) -> str:
    """A job id as we write it.

    Raises:
        JobNotFound: it is no UUID, so no job has it.
    """
    if not re.fullmatch(UUID, job_id, re.ASCII):
        raise JobNotFound(job_id[:40])
    return job_id.lower()


def choose(door: FrontDoor, asked: float | None) -> tuple[Prefer, WaitChoice]:
    """What the request prefers, and how long it waits.

    Raises:
        InvalidRequest: ``Prefer: wait`` is no number of seconds.
    """
    prefer = parse_prefer(request.headers.getlist("Prefer"))
    try:
        return prefer, choose_wait(asked, prefer, door.settings.default_wait, door.settings.max_wait)
    except ValueError as error:
        raise InvalidRequest([("Prefer", str(error))]) from error


def submission(door: FrontDoor, body: dict[str, Any]) -> Submission:
    """The checked submit.

    Raises:
        UnknownJobType, InvalidParameters, InvalidRequest, StoreUnavailable.
    """
    info = door.types.get(body["type"])
    door.rules.check(info, body["parameters"])
    chosen = body.get("id")
    return Submission(
        type=info.name,
        owner=body["owner"],
        parameters_json=as_json(body["parameters"]),
        queue=info.queue,
        max_attempts=info.max_attempts,
        priority=body.get("priority", 5),
        delay=body.get("delay", 0.0),
        tags=body.get("tags", {}),
        traceparent=_traceparent(),
        chosen_id=chosen.lower() if chosen else None,
        idempotency_key=_idempotency_key(),
        callback=callback_of(door, body["callback"], "/callback") if "callback" in body else None,
    )


def _idempotency_key() -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not re.fullmatch(r"[!-~]{1,255}", key, re.ASCII):
        raise InvalidRequest([("Idempotency-Key", "Must be 1 to 255 visible ASCII characters.")])
    return key


def _traceparent() -> str:
    given = request.headers.get("traceparent", "")
    return given if re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", given, re.ASCII) else new_traceparent()


def _why(record: Record) -> str:
    message = json.loads(record.error_json or "{}").get("message", "")
    return f"Job {record.id} failed: {message}"
