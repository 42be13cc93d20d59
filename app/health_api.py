"""``/health``: does the process live, and can it accept jobs that will not be lost."""

import orjson
from flask import Response
from flask_smorest import Blueprint

from app.answers import answer_json
from app.described import described, problems
from app.errors import answer
from app.front_door import front_door
from app.schemas import HealthSchema
from jobs.errors import StoreUnavailable

blp = Blueprint("health", __name__, url_prefix="/health", description="For load balancers and people.")

KEEPS_EVERYTHING = "noeviction"


@blp.route("/live")
@described(
    blp.response(200, HealthSchema),
)
def live() -> Response:
    """This process answers."""
    return answer_json(orjson.dumps({"status": "live"}))


@blp.route("/ready")
@described(
    blp.response(200, HealthSchema),
    *problems(503),
)
def ready() -> Response:
    """Jobs can be accepted, and Redis will keep them."""
    reason = _why_not_ready()
    if reason is None:
        return answer_json(orjson.dumps({"status": "ready"}))
    response = answer(503, reason, slug="not-ready", title="Not ready")
    response.headers["Retry-After"] = "5"
    return response


def _why_not_ready() -> str | None:
    try:
        server = front_door().store.server()
    except StoreUnavailable as error:
        return str(error)
    if server.get("loading"):
        return "Redis is loading its data."
    if not server.get("aof_enabled"):
        return "Redis has no append-only file (appendonly no): a crash would lose accepted jobs."
    policy = server.get("maxmemory_policy", KEEPS_EVERYTHING)
    if policy != KEEPS_EVERYTHING:  # without a maxmemory too: one can be set at any time, and nobody would look here
        return f"Redis evicts keys when it is full (maxmemory-policy {policy}): it would drop accepted jobs."
    return None
