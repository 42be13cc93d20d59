"""The AsyncAPI 3.0 document: where events are told and what each says, from the schemas of the OpenAPI document."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Blueprint, Response

from app.answers import answer_document, base_url
from app.event_schema import EventSchema
from app.front_door import front_door
from app.schemas import OWNER_PATTERN, EventsQuerySchema, GapSchema
from jobs.model.event import BATCH_COMPLETED, FINAL_EVENT_OF, NAMES, OF_JOBS, type_of
from jobs.model.keys import KEYS
from jobs.model.status import TRANSITIONS, Status

blp = Blueprint("asyncapi", __name__)

CLOUDEVENT = "application/cloudevents+json"
ABOUT = """What happens to jobs, as CloudEvents 1.0: by pub/sub to whoever is there, in streams for whoever comes later,
and over HTTP as Server-Sent Events. Each event is told once, in order within its job; `sequence` counts a job's events
without a gap, and each time that the job ends one of them is final."""

SUMMARIES = {
    "created": "A job was accepted.",
    "updated": "A job moved between statuses that are not final, or a new attempt of it began.",
    "progress": "A running job said how far it is.",
    "completed": "A job ended with a result.",
    "failed": "A job ended with an error.",
    "cancelled": "A job was cancelled.",
    BATCH_COMPLETED: "Every job of a batch has ended.",
}
_GOES_ON = [str(status) for status, onward in TRANSITIONS.items() if onward]
_SAYS: dict[str, dict[str, Any]] = {
    "created": {"properties": {"status": {"const": str(Status.NEW)}, "old_status": {"const": None}}},
    "updated": {"properties": {"status": {"enum": _GOES_ON}}},
    "progress": {"properties": {"status": {"const": str(Status.IN_PROGRESS)}}, "required": ["progress"]},
    "completed": {"required": ["payload_uri", "duration"]},
    "failed": {"required": ["error"]},
    "cancelled": {},
    BATCH_COMPLETED: {
        "properties": {"status": {"const": str(Status.COMPLETED)}},
        "required": ["batch_id", "total", "counts", "duration"],
    },
}
"""What the data of each event says beyond what all do; :data:`FINAL_EVENT_OF` knows the status of a final one."""


@blp.get("/asyncapi.json")
def asyncapi() -> Response:
    """The document. Of Redis it tells the address, never the user or the password."""
    door = front_door()
    redis_url, base = door.settings.redis_url, base_url(door)
    return answer_document(door.asyncapi.text((redis_url, base), lambda: document(redis_url, base)))


def document(redis_url: str, base: str) -> dict[str, Any]:
    """``base`` is what the URLs of our HTTP endpoints start with."""
    schemas = APISpec("events", "1", "3.1.0", plugins=[MarshmallowPlugin()])
    for name, schema in (("Event", EventSchema), ("Gap", GapSchema), ("EventsQuery", EventsQuerySchema)):
        schemas.components.schema(name, schema=schema)
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "joborchestrator", "version": "1", "description": ABOUT},
        "defaultContentType": CLOUDEVENT,
        "servers": {"redis": _server(redis_url, "Redis or Valkey."), "http": _server(base, "The front door.")},
        "channels": _channels(),
        "operations": _operations(),
        "components": {
            "schemas": schemas.to_dict()["components"]["schemas"],
            "messages": {**{name: _message(name) for name in NAMES}, "gap": GAP},
            "messageTraits": {"cloudEvent": CLOUDEVENT_TRAIT},
        },
    }


def _server(url: str, about: str) -> dict[str, Any]:
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = parts.port or {"redis": 6379, "rediss": 6379}.get(parts.scheme)
    return {
        "host": f"{host}:{port}" if port else host,
        "protocol": parts.scheme,
        "description": about,
        **({"pathname": parts.path} if parts.path not in {"", "/"} else {}),
    }


# --- messages

CLOUDEVENT_TRAIT = {
    "contentType": CLOUDEVENT,
    "description": "A CloudEvent 1.0 in structured mode: its attributes and its data are one JSON object.",
    "correlationId": {"description": "The job.", "location": "$message.payload#/subject"},
    "tags": [{"name": "CloudEvents"}],
    "externalDocs": {"url": "https://cloudevents.io", "description": "CloudEvents 1.0"},
}
GAP = {
    "name": "gap",
    "title": "Events are gone",
    "summary": "Events that the stream no longer holds were not told; what it holds follows.",
    "contentType": "application/json",
    "payload": {"$ref": "#/components/schemas/Gap"},
}


def _message(name: str) -> dict[str, Any]:
    return {
        "name": type_of(name),
        "title": type_of(name),
        "summary": SUMMARIES[name],
        "payload": {
            "allOf": [
                {"$ref": "#/components/schemas/Event"},
                {"properties": {"type": {"const": type_of(name)}, "data": _data(name)}},
            ]
        },
        "traits": [{"$ref": "#/components/messageTraits/cloudEvent"}],
    }


def _data(name: str) -> dict[str, Any]:
    status = next((str(status) for status, event in FINAL_EVENT_OF.items() if event == name), None)
    return _SAYS[name] if status is None else {"properties": {"status": {"const": status}}, **_SAYS[name]}


# --- channels and operations

OWNER_PARAMETER = {"description": f"Whose jobs; matches {OWNER_PATTERN}", "examples": ["microservice-x"]}
EVENT_PARAMETER = {"description": "What happened.", "enum": list(NAMES)}
BATCH_PARAMETER = {"description": "The batch's id.", "examples": ["0b7d1c9e-6f0a-4c3e-8a55-1f2e3d4c5b6a"]}
JOB_PARAMETER = {"description": "The job's id.", "examples": ["6f1c2a3e-5b1d-4c57-9f0e-2a7d8c1b4e90"]}


def _channels() -> dict[str, Any]:
    entry: dict[str, Any] = {"x-redis": {"type": "stream", "field": "event"}}
    return {
        "fanout": _channel(
            "redis",
            f"{KEYS.channel_prefix('{owner}')}{{event}}",
            "Pub/sub: every event of an owner as it happens; who is away misses it.",
            parameters={"owner": OWNER_PARAMETER, "event": EVENT_PARAMETER},
        ),
        "stream": _channel("redis", KEYS.stream, "A stream with every event, in its field `event`.", **entry),
        "ownerStream": _channel(
            "redis",
            KEYS.stream_of("{owner}"),
            "A stream with the events of one owner; an event has the same entry id as in the stream of all.",
            parameters={"owner": OWNER_PARAMETER},
            **entry,
        ),
        "jobEvents": _channel(
            "http",
            "/jobs/{job_id}/events",
            "Server-Sent Events of one job; ends after the final one.",
            OF_JOBS,
            parameters={"job_id": JOB_PARAMETER},
        ),
        "batchEvents": _channel(
            "http",
            "/batches/{batch_id}/events",
            "Server-Sent Events of the jobs of a batch; ends when all of them have.",
            parameters={"batch_id": BATCH_PARAMETER},
        ),
        "events": _channel("http", "/events", "Server-Sent Events of many jobs."),
    }


def _channel(server: str, address: str, about: str, events: Sequence[str] = NAMES, **more: Any) -> dict[str, Any]:
    names = [*events, "gap"] if server == "http" else events
    return {
        "address": address,
        "description": about,
        "servers": [{"$ref": f"#/servers/{server}"}],
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        **more,
    }


def _operations() -> dict[str, Any]:
    query = {"query": {"$ref": "#/components/schemas/EventsQuery"}}
    return {
        "publish": _sends("fanout", "Publish an event; subscribe with `PSUBSCRIBE`."),
        "append": _sends("stream", "Append an event to the stream of all."),
        "appendForOwner": _sends("ownerStream", "Append an event to the stream of its owner."),
        "streamOfJob": _sends("jobEvents", "From the first event, or after `Last-Event-ID`.", **_get({})),
        "streamOfBatch": _sends("batchEvents", "From the first event, or after `Last-Event-ID`.", **_get({})),
        "streamOfMany": _sends("events", "From now on, or after `Last-Event-ID`.", **_get(query)),
    }


def _sends(channel: str, summary: str, **more: Any) -> dict[str, Any]:
    return {"action": "send", "channel": {"$ref": f"#/channels/{channel}"}, "summary": summary, **more}


def _get(query: dict[str, Any]) -> dict[str, Any]:
    return {"bindings": {"http": {"method": "GET", **query, "bindingVersion": "0.3.0"}}}
