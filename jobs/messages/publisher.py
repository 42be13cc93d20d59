"""Hands the messages of jobs to RabbitMQ, in a bounded time or not at all: a reconciler tries again later.

A broker without memory reads no more from whoever publishes, and one behind a dead network answers nothing. Both look
well, and without a time limit a publish waits for ever. pyamqp's own ``read_timeout`` is none: it reads on after it,
and the sockets of gevent know nothing of it. So each socket has a timeout here.
"""

import struct
import time
from typing import TYPE_CHECKING, Any

from amqp.exceptions import AMQPError, ChannelError, FrameSyntaxError, MessageNacked
from kombu.exceptions import KombuError, SerializationError

from jobs.errors import NotPublished
from jobs.redis.client import ANSWER_WITHIN

if TYPE_CHECKING:
    from jobs.celery_app import JobsCelery

AWAY_FOR = 1.0
"""Seconds for which a broker that did not answer is not asked: who comes meanwhile need not find out by himself."""
_OF_THE_MESSAGE = (MessageNacked, SerializationError, FrameSyntaxError, struct.error)
"""What says nothing of the broker, and leaves the connection as it was: a nack, or a message that cannot be written.

Of the latter there is none as long as a record holds what a submit has checked: a damaged one harms no other job.
"""
_OF_THE_QUEUE = (*_OF_THE_MESSAGE, ChannelError)
"""What says nothing of the broker either; but the channel is closed."""
_NOT_PUBLISHED = (*_OF_THE_QUEUE, AMQPError, KombuError, OSError, AttributeError)
"""What may come of it; the last is pyamqp's when a connection goes while it is used, as kombu remarks."""


class Publisher:
    """Publishes over the connections of ``app``'s pool."""

    def __init__(self, app: "JobsCelery") -> None:
        self._app = app
        self._lost_at = float("-inf")

    @property
    def is_away(self) -> bool:
        """Whether the broker did not answer a moment ago."""
        return time.monotonic() < self._lost_at + AWAY_FOR

    def publish(self, job_id: str, task: str, **options: Any) -> None:
        """Send the task's message, and wait until the broker has confirmed it.

        Raises:
            NotPublished: it is not known to be with the broker.
        """
        self._refuse_while_away(job_id)
        try:
            with self._app.connection_or_acquire() as connection:
                self._refuse_while_away(job_id)
                try:
                    self._open(connection)
                    self._app.send_task(task, task_id=job_id, connection=connection, retry=False, **options)
                except BaseException as error:
                    if not _is_one_of(_OF_THE_MESSAGE, error):
                        connection.collect()  # a confirmation that is late would be taken for that of the next message
                    self._note(error)
                    raise
        except _NOT_PUBLISHED as error:
            by_queue = _is_one_of((MessageNacked, ChannelError), error)
            raise NotPublished(job_id, str(error) or type(error).__name__, by_queue=by_queue) from error

    def _refuse_while_away(self, job_id: str) -> None:
        if self.is_away:
            raise NotPublished(job_id, "the broker did not answer a moment ago")

    def _open(self, connection: Any) -> None:
        """Make it ready, anew where it is older than the last failure; every wait for an answer has a limit then."""
        if not connection.connected or getattr(connection, "opened_at", float("-inf")) <= self._lost_at:
            connection.collect()
            connection.ensure_connection(max_retries=max(len(connection.alt) - 1, 0))
            connection.opened_at = time.monotonic()
        connection.connection.sock.settimeout(ANSWER_WITHIN)

    def _note(self, error: BaseException) -> None:
        if not _is_one_of(_OF_THE_QUEUE, error):
            self._lost_at = time.monotonic()


def _is_one_of(kinds: tuple[type[Exception], ...], error: BaseException) -> bool:
    """Also where kombu has wrapped it."""
    return isinstance(error, kinds) or isinstance(error.__cause__, kinds)
