"""Our own connections to Redis: bounded in number, and never silent for long."""

import _socket
import socket

from redis import BlockingConnectionPool, Redis
from redis.backoff import ConstantBackoff
from redis.client import PubSub
from redis.exceptions import ConnectionError, TimeoutError
from redis.retry import Retry

from jobs.connections.connection import WaryConnection, WarySSLConnection

MOST_CONNECTIONS = 64
CONNECTION_WITHIN = 5.0
"""Seconds a request queues for one of the connections: a burst of thousands of requests takes its turns."""
ANSWER_WITHIN = 1.5
"""Seconds Redis has for one answer before it counts as hung."""


class PeekingConnection(WaryConnection):
    """The pool asks each connection that it hands out whether something came in unasked (then it is a broken one).

    redis-py makes a poll object for that, which under gevent costs as much as the rest of a command; a look at the
    socket does not.
    """

    def can_read(self, timeout: float = 0) -> bool:
        if timeout != 0:
            return bool(super().can_read(timeout=timeout))
        connected: socket.socket = self._sock  # type: ignore[assignment]  # a connection that is handed out has one
        return has_input(connected)


def has_input(connected: socket.socket) -> bool:
    """Whether something is to be read, be it the end of the connection, or that it was reset."""
    plain = _socket.socket(fileno=connected.fileno())
    plain.setblocking(False)  # as the connection is, which has a timeout; Celery sets a default one when it ends
    try:
        plain.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        plain.detach()
    return True


def connect(
    url: str,
    *,
    as_text: bool = True,
    within: float | None = None,
    again: bool = True,
    most: int = MOST_CONNECTIONS,
) -> Redis:
    """A client for many threads or greenlets at once, text in and out; bytes out for whoever reads what anybody wrote.

    One reconnect is tried at once; a server that is down is an error within a second, one that hangs within about
    three: ``within`` seconds (``ANSWER_WITHIN``) for each of two tries; without ``again`` a silence is not tried a
    second time. ``most`` is how many connections there may be.
    """
    within = ANSWER_WITHIN if within is None else within
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=most,
        timeout=CONNECTION_WITHIN,
        socket_timeout=within,
        socket_connect_timeout=within,
        retry=Retry(ConstantBackoff(0.05), 1, supported_errors=tried_twice(again)),
        health_check_interval=0,
        decode_responses=as_text,
    )
    pool.connection_class = WarySSLConnection if url.startswith("rediss:") else PeekingConnection
    return Redis(connection_pool=pool)


def subscriber(client: Redis) -> PubSub:
    """What subscribes to channels; redis-py's own looks for its logger, and makes a text of every message."""
    made: PubSub = client.pubsub(push_handler_func=lambda message: message)
    return made


def tried_twice(again: bool = True) -> tuple[type[Exception], ...]:
    """After which errors a command is sent once more; ``again`` is that of :func:`connect`."""
    return (ConnectionError, TimeoutError) if again else (ConnectionError,)
