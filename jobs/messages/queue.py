"""The Celery message of a job, built by Celery itself, as the text that lies in the Redis list.

All messages of one job type differ in a few places only, so Celery and kombu build one, and the places are filled in
for each job. A contract test compares the outcome with what ``send_task`` puts into the list.
"""

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

from kombu.serialization import dumps
from kombu.transport.virtual import Base64

from jobs.messages.publisher import Publisher
from jobs.model.priority import kombu_priority, our_priority

if TYPE_CHECKING:
    from jobs.celery_app import JobsCelery

ARGUMENTS_SHOWN = 1024
"""Characters of the parameters that logs and Flower show."""

_ID, _TAG, _SHOWN, _OWNER = (f"@@{name}@@" for name in ("id", "tag", "shown", "owner"))
_PLACES = re.compile(f"({_ID}|{_TAG}|{_SHOWN}|{_OWNER})")


class Queued(Protocol):
    """What a message needs to know of a job: a submission, a record and a claim all do."""

    @property
    def id(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def owner(self) -> str: ...
    @property
    def parameters_json(self) -> str: ...
    @property
    def queue(self) -> str: ...
    @property
    def priority(self) -> int:
        """Ours: 9 is the highest."""


OUTSIDE = "outside"
"""Stands for the message of a job when the broker is another server: no script can push it there."""


class Queue:
    """Builds messages for the workers of ``app``. The parameters are not in them: the claim hands them out."""

    def __init__(self, app: "JobsCelery") -> None:
        self._app = app
        self._template = lru_cache(maxsize=1024)(self._build)
        self.is_outside = app.settings.broker_url is not None
        """Whether the broker is another server than the one that keeps the jobs."""
        self._publisher = Publisher(app)

    def message(self, job: Queued) -> str:
        """The message that makes a worker run the job; it belongs in the list ``queue_key(queue, priority)``."""
        if self.is_outside:
            return OUTSIDE
        places = {_ID: job.id, _TAG: str(uuid4()), _SHOWN: json.dumps(_shown(job))[1:-1], _OWNER: job.owner}
        parts = self._template(job.type, job.queue, job.priority)
        return "".join(places.get(part, part) for part in parts)

    def priority(self, in_message: int) -> int:
        """The priority that a message bears, as ours: RabbitMQ counts as we do."""
        return in_message if self.is_outside else our_priority(in_message)

    @property
    def is_away(self) -> bool:
        """Whether the other broker did not answer a moment ago."""
        return self._publisher.is_away

    def publish(self, job: Queued) -> None:
        """Hand the message to the other broker, within a few seconds.

        Raises:
            NotPublished: a reconciler is to do it later.
        """
        self._publisher.publish(
            job.id,
            job.type,
            queue=job.queue,
            priority=job.priority,
            headers={"owner": job.owner},
            argsrepr="()",
            kwargsrepr=_shown(job),
        )

    def length(self, name: str) -> int | None:
        """How many messages the other broker says lie in that queue, without those that workers have taken; or None."""
        return self._publisher.length(name)

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


def _shown(job: Queued) -> str:
    """The parameters as logs and Flower show them."""
    text = job.parameters_json
    return text if len(text) <= ARGUMENTS_SHOWN else text[:ARGUMENTS_SHOWN] + "…"
