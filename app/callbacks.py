"""Callbacks at the door: whether one may be asked for, and what its receiver gets, for the OpenAPI document."""

from typing import Any

from app.errors import InvalidRequest
from app.event_schema import EventSchema
from app.front_door import FrontDoor
from jobs.addresses import literal
from jobs.model.callback import Callback, CallbackUrl

OFF = "Callbacks are off here: JOBS_WEBHOOK_SECRET is not set."


def callback_of(door: FrontDoor, given: dict[str, Any], pointer: str = "") -> Callback:
    """The callback that a checked body asks for; ``pointer`` is where it stands in that body.

    Raises:
        InvalidRequest: callbacks are off, or the address is one that we do not call.
    """
    if not door.settings.webhook_secret:
        raise InvalidRequest([(pointer, OFF)])
    host = CallbackUrl.from_text(given["url"]).host
    address = literal(host)
    if address is not None and not door.settings.webhook_allow.reaches(host, address):
        raise InvalidRequest([(f"{pointer}/url", f"Must be public: {address} is not, and is not allowed here.")])
    return Callback.to(given["url"], given["events"])


def _header(about: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"in": "header", "required": True, "description": about, "schema": schema}


def _told(operation_id: str, summary: str, schema: Any) -> dict[str, Any]:
    """The request that a receiver gets, as a path item."""
    return {
        "post": {
            "operationId": operation_id,
            "summary": summary,
            "description": "Signed by Standard Webhooks. At least once, in no promised order: drop what comes twice by "
            "`webhook-id`.",
            "parameters": [
                {"name": "webhook-id", **_header("The event's id; the same at each attempt.", {"type": "string"})},
                {"name": "webhook-timestamp", **_header("Of the attempt, Unix seconds.", {"type": "integer"})},
                {"name": "webhook-signature", **_header("`v1,` and the base64 of an HMAC.", {"type": "string"})},
            ],
            "requestBody": {"required": True, "content": {"application/cloudevents+json": {"schema": schema}}},
            "responses": {
                "2XX": {"description": "It has arrived."},
                "410": {"description": "Nothing more is wanted: this was the last."},
                "429": {"description": "Later: after `Retry-After`, if it says."},
                "503": {"description": "Later: after `Retry-After`, if it says."},
                "default": {"description": "It is tried again, for about a day. Redirects are not followed."},
            },
        }
    }


CALLBACKS = {"events": {"{$request.body#/callback/url}": _told("callback", "What happens to the job", EventSchema)}}
"""Of ``POST /jobs``."""
WEBHOOKS = {"event": _told("webhook", "What happens to jobs", {"$ref": "#/components/schemas/Event"})}
"""Of ``POST /webhooks``."""
