"""kombu's Redis transport with four changes.

The queue of the usual priority bears the queue's own name:

kombu counts priorities from 0, the highest, and gives only that one the bare key. Our priorities count from 9, the
highest, to 0, and the usual one, 5, lives in the list named like the queue.

And a lost connection is an error of the connection: kombu 5.7 gives unacknowledged messages back when it closes a
channel, after the channel has lost its connection, and the AttributeError that follows ends the whole worker.

And a channel keeps one client, and keeps nothing in Redis for a job's message that it has fetched: the job has a
record and a lease, and whoever has neither message nor lease is found by a reconciler. Messages of others are noted in
``unacked`` as kombu does it, without its transaction.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kombu.transport import redis, virtual
from kombu.utils.json import dumps
from redis import Redis
from redis.exceptions import ConnectionError

HIGHEST = 9
USUAL = 5


def kombu_priority(priority: int) -> int:
    """Our priority (9 is the highest) as kombu's (0 is the highest)."""
    return HIGHEST - priority


def our_priority(priority: int) -> int:
    """kombu's priority as ours."""
    return HIGHEST - priority


def queue_key(queue: str, priority: int) -> str:
    """The Redis list that holds the messages of one queue and one of our priorities."""
    return queue if priority == USUAL else f"{queue}{redis.Channel.sep}{priority}"


class QoS(redis.QoS):
    """Keeps the messages of jobs in memory; notes others in one plain round trip, where kombu takes a transaction."""

    def append(self, message: Any, delivery_tag: str) -> None:
        if _is_of_job(message):
            virtual.QoS.append(self, message, delivery_tag)
        else:
            super().append(message, delivery_tag)  # type: ignore[no-untyped-call]

    def ack(self, delivery_tag: str) -> None:
        if self._of_job(delivery_tag) is not None:
            virtual.QoS.ack(self, delivery_tag)
        else:
            super().ack(delivery_tag)  # type: ignore[no-untyped-call]

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        if self._of_job(delivery_tag) is None:
            super().reject(delivery_tag, requeue)  # type: ignore[no-untyped-call]
        else:
            if requeue:
                self.restore_by_tag(delivery_tag, leftmost=True)
            virtual.QoS.ack(self, delivery_tag)

    def restore_by_tag(self, tag: str, client: Any = None, leftmost: bool = False) -> None:
        message = self._of_job(tag)
        if message is None:
            super().restore_by_tag(tag, client, leftmost)  # type: ignore[no-untyped-call]
            return
        told = message.delivery_info
        with self.channel.conn_or_acquire(client) as connected:
            self.channel._do_restore_message(message._raw, told["exchange"], told["routing_key"], connected, leftmost)

    def _of_job(self, delivery_tag: str) -> Any:
        message = self._delivered.get(delivery_tag)
        return message if message is not None and _is_of_job(message) else None

    @contextmanager
    def pipe_or_acquire(self, pipe: Any = None, client: Any = None) -> Iterator[Any]:
        if pipe:
            yield pipe
        else:
            with self.channel.conn_or_acquire(client) as connected:
                yield connected.pipeline(transaction=False)


def _is_of_job(message: Any) -> bool:
    """Only the messages that ``queue.py`` builds name an owner."""
    return "owner" in message.headers


class Channel(redis.Channel):
    """Fetches by priority, 9 first."""

    QoS = QoS

    priority_steps = list(range(HIGHEST + 1))  # noqa: RUF012  kombu declares it so

    _one_client: Redis | None = None
    default_priority = kombu_priority(USUAL)
    """Of a plain Celery message that says none."""

    def _q_for_pri(self, queue: str, pri: int) -> str:
        return queue_key(queue, HIGHEST - pri)

    receivers = 0
    """How many got the last event that this channel published."""

    def _put_fanout(self, exchange: str, message: Any, routing_key: str, **options: Any) -> None:
        if options.get("_publish_batch") is not None:
            super()._put_fanout(exchange, message, routing_key, **options)  # type: ignore[no-untyped-call]
            return
        payload = dumps(message)
        topics = self._get_publish_topics(exchange, routing_key)  # type: ignore[no-untyped-call]
        with self.conn_or_acquire() as client:
            self.receivers = sum(client.publish(topic, payload) for topic in topics)

    def _create_client(self, asynchronous: bool = False) -> Redis:
        """kombu makes a client for every operation, which is a third of what a fetch or an acknowledgement costs."""
        if asynchronous:
            client: Redis = super()._create_client(asynchronous=True)  # type: ignore[no-untyped-call]
            return client
        if self._one_client is None or self._one_client.connection_pool is not self.pool:
            self._one_client = super()._create_client()  # type: ignore[no-untyped-call]
        return self._one_client

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        if self.connection is None or self.connection.client is None:
            raise ConnectionError("the channel has lost its connection")
        params: dict[str, Any] = super()._connparams(asynchronous=asynchronous)  # type: ignore[no-untyped-call]
        return params


class Transport(redis.Transport):
    Channel = Channel
