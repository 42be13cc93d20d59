"""``/subscriptions``: which services are told durably, and how far behind each is."""

from dataclasses import asdict

import orjson
from flask import Response
from flask_smorest import Blueprint

from app.answers import answer_json
from app.described import described, problems
from app.front_door import front_door
from app.request_parser import require_json_accepted
from app.schemas import SubscriptionSchema
from jobs.events.subscriptions import Subscription, Subscriptions
from jobs.model.record import rfc3339

blp = Blueprint("subscriptions", __name__, url_prefix="/subscriptions", description="Who is told, and how far behind.")
blp.before_request(require_json_accepted)


@blp.route("")
@described(
    blp.response(200, SubscriptionSchema(many=True)),
    *problems(406, 503),
)
def list_subscriptions() -> Response:
    """The durable subscriptions, whether a process of theirs lives or not."""
    found = Subscriptions(front_door().store).all()
    return answer_json(orjson.dumps([_document(each) for each in found]))


def _document(each: Subscription) -> dict[str, object]:
    return {**asdict(each), "last_seen_at": rfc3339(each.last_seen_at)}
