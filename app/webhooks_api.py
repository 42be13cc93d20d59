"""``/webhooks``: standing subscriptions of URLs to events; there only where a secret is set to sign with."""

from typing import Any

import orjson
from flask import Response
from flask.views import MethodView
from flask_smorest import Blueprint

from app.answers import answer_empty, answer_json, base_url
from app.callbacks import callback_of
from app.described import described, headers, problems
from app.errors import WebhooksOff
from app.front_door import front_door
from app.request_parser import RequestParser, require_json_accepted
from app.submitting import canonical
from app.webhook_schemas import AddWebhookSchema, WebhookSchema
from jobs.errors import WebhookNotFound
from jobs.model.record import rfc3339
from jobs.webhooks.registry import Webhook

blp = Blueprint("webhooks", __name__, url_prefix="/webhooks", description="URLs that are told of events.")
blp.ARGUMENTS_PARSER = RequestParser()
blp.before_request(require_json_accepted)


@blp.before_request
def _require_secret() -> None:
    if not front_door().settings.webhook_secret:
        raise WebhooksOff


@blp.route("")
class ManyWebhooks(MethodView):
    """The collection."""

    @blp.arguments(AddWebhookSchema())
    @described(
        blp.response(
            201, WebhookSchema, headers=headers("Location"), description="It is told what happens from now on."
        ),
        *problems(400, 404, 406, 409, 413, 415, 422, 503),
    )
    def post(self, body: dict[str, Any]) -> Response:
        """Tell a URL of the events of an owner's jobs, or of everybody's."""
        door = front_door()
        webhook = door.webhooks.add(callback_of(door, body), body.get("owner"))
        response = answer_json(orjson.dumps(_members(webhook)), 201)
        response.headers["Location"] = f"{base_url(door)}/webhooks/{webhook.id}"
        return response

    @described(
        blp.response(200, WebhookSchema(many=True), description="All of them, oldest first."),
        *problems(404, 406, 503),
    )
    def get(self) -> Response:
        """List webhooks."""
        return answer_json(orjson.dumps([_members(webhook) for webhook in front_door().webhooks.all()]))


@blp.route("/<webhook_id>")
class OneWebhook(MethodView):
    """One webhook."""

    @described(
        blp.response(200, WebhookSchema),
        *problems(404, 406, 503),
    )
    def get(self, webhook_id: str) -> Response:
        """Look at a webhook."""
        return answer_json(orjson.dumps(_members(front_door().webhooks.get(canonical(webhook_id, WebhookNotFound)))))

    @described(
        blp.response(204),
        *problems(404, 406, 503),
    )
    def delete(self, webhook_id: str) -> Response:
        """Remove a webhook: what it has not been told yet it never is."""
        front_door().webhooks.remove(canonical(webhook_id, WebhookNotFound))
        return answer_empty(204)


def _members(webhook: Webhook) -> dict[str, Any]:
    return {
        "id": webhook.id,
        "url": webhook.url,
        "owner": webhook.owner,
        "events": webhook.events,
        "created_at": rfc3339(webhook.created_at),
        "status": webhook.status,
    }
