"""``/job-types``: what living workers announced."""

import orjson
from flask import Response
from flask_smorest import Blueprint

from app.answers import answer_json
from app.described import described, problems
from app.front_door import FrontDoor, front_door
from app.request_parser import require_json_accepted
from app.schemas import JobTypeSchema
from jobs.store.job_types import JobTypeInfo

blp = Blueprint("job-types", __name__, url_prefix="/job-types", description="What can be asked for.")
blp.before_request(require_json_accepted)


@blp.route("")
@described(
    blp.response(200, JobTypeSchema(many=True)),
    *problems(406, 503),
)
def list_job_types() -> Response:
    """The job types that living workers run, with the JSON Schema of their parameters."""
    door = front_door()
    return answer_json(orjson.dumps([_described(door, info) for info in door.types.living()]))


def _described(door: FrontDoor, info: JobTypeInfo) -> dict[str, object]:
    return {
        "name": info.name,
        "description": info.description,
        "parameters": info.parameters,
        "queue": info.queue,
        "time_limit": info.time_limit,
        "soft_time_limit": info.soft_time_limit,
        "max_attempts": info.max_attempts,
        "expected_duration": door.durations(info.name).quantile(0.5),
    }
