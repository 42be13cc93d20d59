"""Our own connections to Redis: bounded in number, and never silent for long."""

import _socket
import os
import socket
from collections import deque
from typing import Any

from redis import BlockingConnectionPool, Redis
from redis.backoff import ConstantBackoff
from redis.exceptions import ConnectionError, ResponseError, TimeoutError
from redis.retry import Retry

from jobs.connection import WaryConnection, WarySSLConnection

MOST_CONNECTIONS = 64
AT_HAND = 16
"""Connections that a :class:`Line` keeps to itself."""
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
        plain = _socket.socket(fileno=connected.fileno())
        plain.setblocking(False)  # as the connection is, which has a timeout; Celery sets a default one when it ends
        try:
            plain.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
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
        retry=Retry(ConstantBackoff(0.05), 1, supported_errors=_tried_twice(again)),
        health_check_interval=0,
        decode_responses=as_text,
    )
    pool.connection_class = WarySSLConnection if url.startswith("rediss:") else PeekingConnection
    return Redis(connection_pool=pool)


def _tried_twice(again: bool) -> tuple[type[Exception], ...]:
    return (ConnectionError, TimeoutError) if again else (ConnectionError,)


class Line:
    """A short way to ask the same server thousands of times a second: a few connections of a pool, kept at hand.

    A command through redis-py's client costs twice its own time once more, for the pool's bookkeeping, a look whether
    the connection is sound, and metrics. Here a connection that has broken meanwhile is noticed by the command, which
    is sent once more, on a new one, as the client does it. So it must do no harm twice. ``again`` is that of
    :func:`connect`.
    """

    def __init__(self, pool: Any, *, again: bool = True) -> None:
        self._pool, self._pid = pool, os.getpid()
        self._tried_twice = _tried_twice(again)
        self._at_hand: deque[Any] = deque()

    def ask(self, *command: Any) -> Any:
        """What the server answers; redis-py's errors."""
        connection = self._take()
        try:
            answer = self._answer(connection, command)
        except ResponseError:
            self._give_back(connection)
            raise
        except BaseException:
            connection.disconnect()
            self._pool.release(connection)
            raise
        self._give_back(connection)
        return answer

    def _take(self) -> Any:
        if self._pid != os.getpid():  # a fork has its own connections, and the pool knows it
            self._pid, self._at_hand = os.getpid(), deque()
        try:
            return self._at_hand.pop()
        except IndexError:
            return self._pool.get_connection()

    def _give_back(self, connection: Any) -> None:
        if len(self._at_hand) < AT_HAND:
            self._at_hand.append(connection)
        else:
            self._pool.release(connection)

    def _answer(self, connection: Any, command: tuple[Any, ...]) -> Any:
        """The answer; a second try, on a new connection, when this one breaks."""
        try:
            connection.connect()  # it is made anew if others have fallen silent
            connection.send_command(*command)
            return connection.read_response()
        except self._tried_twice:
            connection.disconnect()
            connection.send_command(*command)
            return connection.read_response()
