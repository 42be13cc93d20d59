"""The seed's own endpoints, for clients written against the original."""

from typing import Any

import orjson
from flask import Response, request
from flask_smorest import Blueprint

from app.answers import answer_json, base_url, with_replay
from app.described import described, headers, problems, reads
from app.documents import seed_document
from app.front_door import FrontDoor, front_door
from app.request_parser import RequestParser, require_json_accepted
from app.seed_schemas import SeedGetQuerySchema, SeedJobSchema, SeedStartSchema, SeedStartWithTimeoutSchema
from app.submitting import canonical, submission
from app.waiting import deadline, submit_and_wait
from jobs.model.record import Record

blp = Blueprint("seed", __name__, url_prefix="/Jobs", description="The endpoints of the original project.")
blp.ARGUMENTS_PARSER = RequestParser()
blp.before_request(require_json_accepted)

ID_IN_BODY = {"type": "string", "format": "uuid"}
ENDED = headers("Idempotency-Replayed")
GOES_ON = headers("Location", "Retry-After", "Idempotency-Replayed")


@blp.route("/StartJobWithTimeout", methods=["POST"])
@blp.arguments(SeedStartWithTimeoutSchema())
@described(
    reads("Idempotency-Key", "traceparent"),
    blp.response(200, SeedJobSchema, headers=ENDED, description="It ended in time."),
    blp.alt_response(202, schema=ID_IN_BODY, headers=GOES_ON, description="It goes on; the body is its id."),
    *problems(400, 406, 413, 415, 422, 503),
)
def start_job_with_timeout(body: dict[str, Any]) -> Response:
    """Start a job and wait for `initialTimeout` milliseconds."""
    door = front_door()
    return _start(door, body, min(body["initial_timeout"] / 1000, door.settings.max_wait))


@blp.route("/StartJob", methods=["POST"])
@blp.arguments(SeedStartSchema())
@described(
    reads("Idempotency-Key", "traceparent"),
    blp.response(202, ID_IN_BODY, headers=GOES_ON, description="Accepted; the body is its id."),
    blp.alt_response(
        200, schema=SeedJobSchema, headers=ENDED, description="Its `Idempotency-Key` is that of a job that has ended."
    ),
    *problems(400, 406, 413, 415, 422, 503),
)
def start_job(body: dict[str, Any]) -> Response:
    """Start a job."""
    return _start(front_door(), body, 0.0)


@blp.route("/get")
@blp.arguments(SeedGetQuerySchema(), location="query")
@described(
    blp.response(200, SeedJobSchema),
    *problems(404, 406, 422, 503),
)
def get_job(query: dict[str, Any]) -> Response:
    """Look at a job."""
    return answer_json(seed_document(front_door().store.get(canonical(query["job_id"]))))


def _start(door: FrontDoor, body: dict[str, Any], seconds: float) -> Response:
    base, until, has_key = base_url(door), deadline(seconds), "Idempotency-Key" in request.headers

    def answer(record: Record, replayed: bool) -> Response:
        if record.is_final:
            response = answer_json(seed_document(record))
        else:
            response = answer_json(orjson.dumps(record.id), 202)
            response.headers["Location"] = f"{base}/Jobs/get?jobId={record.id}"
            response.headers["Retry-After"] = str(door.retry_after(record))
        return with_replay(response, replayed and has_key)

    return submit_and_wait(door, submission(door, {**body, "type": door.settings.default_type}), until, answer)
