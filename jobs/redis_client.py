"""Our own connections to Redis: bounded in number, and never silent for long."""

from redis import BlockingConnectionPool, Redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

MOST_CONNECTIONS = 64
CONNECTION_WITHIN = 5.0
"""Seconds a request queues for one of the connections: a burst of thousands of requests takes its turns."""
ANSWER_WITHIN = 1.5
"""Seconds Redis has for one answer before it counts as hung."""


def connect(url: str) -> Redis:
    """A client for many threads or greenlets at once, text in and out.

    One reconnect is tried at once; a server that is down is an error within a second, one that hangs within about
    three (``ANSWER_WITHIN`` for each of two tries).
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=MOST_CONNECTIONS,
        timeout=CONNECTION_WITHIN,
        socket_timeout=ANSWER_WITHIN,
        socket_connect_timeout=ANSWER_WITHIN,
        retry=Retry(ConstantBackoff(0.05), 1),
        health_check_interval=0,
        decode_responses=True,
    )
    return Redis(connection_pool=pool)
