"""kombu's Redis transport with four changes.

The queue of the usual priority bears the queue's own name:

kombu counts priorities from 0, the highest, and gives only that one the bare key. Our priorities count from 9, the
highest, to 0, and the usual one, 5, lives in the list named like the queue.

And a lost connection is an error of the connection: kombu 5.7 gives unacknowledged messages back when it closes a
channel, after the channel has lost its connection, and the AttributeError that follows ends the whole worker.

And a channel keeps one client, and takes no transaction to note a message or to acknowledge it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kombu.transport import redis
from redis import Redis
from redis.exceptions import ConnectionError

HIGHEST = 9
USUAL = 5


def kombu_priority(priority: int) -> int:
    """Our priority (9 is the highest) as kombu's (0 is the highest)."""
    return HIGHEST - priority


def queue_key(queue: str, priority: int) -> str:
    """The Redis list that holds the messages of one queue and one of our priorities."""
    return queue if priority == USUAL else f"{queue}{redis.Channel.sep}{priority}"


class QoS(redis.QoS):
    """Notes what is unacknowledged in one plain round trip, where kombu takes a transaction."""

    @contextmanager
    def pipe_or_acquire(self, pipe: Any = None, client: Any = None) -> Iterator[Any]:
        if pipe:
            yield pipe
        else:
            with self.channel.conn_or_acquire(client) as connected:
                yield connected.pipeline(transaction=False)


class Channel(redis.Channel):
    """Fetches by priority, 9 first."""

    QoS = QoS

    priority_steps = list(range(HIGHEST + 1))  # noqa: RUF012  kombu declares it so

    _one_client: Redis | None = None
    default_priority = kombu_priority(USUAL)
    """Of a plain Celery message that says none."""

    def _q_for_pri(self, queue: str, pri: int) -> str:
        return queue_key(queue, HIGHEST - pri)

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
