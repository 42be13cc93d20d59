"""Hands the messages of jobs to RabbitMQ, in a bounded time or not at all: a reconciler tries again later.

A broker without memory reads no more from whoever publishes, and one behind a dead network answers nothing. Both look
well, and without a time limit a publish waits for ever. pyamqp's own ``read_timeout`` is none: it reads on after it,
and the sockets of gevent know nothing of it. So each socket has a timeout here.
"""

import logging
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from amqp.exceptions import AMQPError, ChannelError, FrameSyntaxError, MessageNacked, NotFound
from kombu.exceptions import KombuError, SerializationError

from jobs.connections.client import ANSWER_WITHIN, has_input
from jobs.errors import NotPublished

if TYPE_CHECKING:
    from jobs.celery_app import JobsCelery

log = logging.getLogger(__name__)

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


class _Away(Exception):
    """The broker is not asked."""


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

        It confirms a message for a queue that was deleted, too; as that is ``mandatory``, it gives it back before, and
        that is an error here.

        Raises:
            NotPublished: it is not known to be with the broker.
        """
        try:
            with self._connection() as connection:
                options |= {"mandatory": True, "connection": connection, "retry": False}
                self._app.send_task(task, task_id=job_id, **options)
        except _Away as away:
            raise NotPublished(job_id, str(away)) from away
        except _NOT_PUBLISHED as error:
            by_queue = _is_one_of((MessageNacked, ChannelError), error)
            raise NotPublished(job_id, str(error) or type(error).__name__, by_queue=by_queue) from error

    def length(self, queue: str) -> int | None:
        """How many messages the broker says it can still hand out of a queue; None when it does not know.

        When the leader of a quorum queue is slow to answer, RabbitMQ says 0, and that it has no consumer.
        """
        try:
            with self._connection() as connection:
                told = connection.default_channel.queue_declare(queue, passive=True)
                return int(told.message_count) if told.message_count or told.consumer_count else None
        except NotFound:
            return 0
        except (_Away, *_NOT_PUBLISHED) as error:
            log.warning("nobody knows whether messages of the queue %s are lost: %s", queue, error)
            return None

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        """One on which each wait for an answer has a limit."""
        self._refuse_while_away()
        with self._app.connection_or_acquire() as connection:
            self._refuse_while_away()
            try:
                self._open(connection)
                yield connection
            except BaseException as error:
                if not _is_one_of(_OF_THE_MESSAGE, error):
                    connection.collect()  # a confirmation that is late would be taken for that of the next message
                self._note(error)
                raise

    def _refuse_while_away(self) -> None:
        if self.is_away:
            raise _Away("the broker did not answer a moment ago")

    def _open(self, connection: Any) -> None:
        """Make it ready, anew where it is older than the last failure or the broker has closed it meanwhile.

        Every wait for an answer has a limit then.
        """
        is_old = getattr(connection, "opened_at", float("-inf")) <= self._lost_at
        if is_old or not connection.connected or has_input(connection.connection.sock):  # such as that it is closed
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
