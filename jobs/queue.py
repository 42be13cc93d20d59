"""The Celery message of a job, built by Celery itself, as the text that lies in the Redis list.

All messages of one job type differ in a few places only, so Celery and kombu build one, and the places are filled in
for each job. A contract test compares the outcome with what ``send_task`` puts into the list.
"""

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from uuid import uuid4

from celery import Celery
from kombu.serialization import dumps
from kombu.transport.virtual import Base64

from jobs.transport import kombu_priority, queue_key

ARGUMENTS_SHOWN = 1024
"""Characters of the parameters that logs and Flower show."""

_ID, _TAG, _SHOWN, _OWNER = (f"@@{name}@@" for name in ("id", "tag", "shown", "owner"))
_PLACES = re.compile(f"({_ID}|{_TAG}|{_SHOWN}|{_OWNER})")


@dataclass(frozen=True, slots=True)
class Message:
    """One message and the Redis list it belongs in."""

    key: str
    text: str


class Queue:
    """Builds messages for the workers of ``app``. The parameters are not in them: the claim hands them out."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._template = lru_cache(maxsize=1024)(self._build)

    def message(
        self, job_id: str, job_type: str, owner: str, parameters_json: str, queue: str, priority: int
    ) -> Message:
        """The message that makes a worker of ``queue`` run the job; ``priority`` is ours, 9 the highest."""
        shown = parameters_json if len(parameters_json) <= ARGUMENTS_SHOWN else parameters_json[:ARGUMENTS_SHOWN] + "…"
        places = {_ID: job_id, _TAG: str(uuid4()), _SHOWN: json.dumps(shown)[1:-1], _OWNER: owner}
        parts = self._template(job_type, queue, priority)
        return Message(queue_key(queue, priority), "".join(places.get(part, part) for part in parts))

    def _build(self, job_type: str, queue: str, priority: int) -> tuple[str, ...]:
        task = self._app.amqp.create_task_message(_ID, job_type, argsrepr="()", kwargsrepr=_SHOWN)
        content_type, content_encoding, body = dumps(task.body, serializer="json")
        envelope = {
            "body": Base64().encode(body),
            "content-encoding": content_encoding,
            "content-type": content_type,
            "headers": {**task.headers, "owner": _OWNER},
            "properties": {
                **task.properties,
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": queue},
                "priority": kombu_priority(priority),
                "body_encoding": "base64",
                "delivery_tag": _TAG,
            },
        }
        return tuple(_PLACES.split(json.dumps(envelope)))
