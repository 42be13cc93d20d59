"""Connections to Redis that learn from one another: once one of a process got no answer, the others are made anew.

A half-open TCP connection looks sound until somebody waits for an answer, and that takes the whole time limit. Whatever
made one silent has most likely made its elders silent too, and a process that finds out about each in turn is away for
as many time limits as it has connections.
"""

import time
from typing import Any

from redis.connection import AbstractConnection, Connection, SSLConnection
from redis.exceptions import TimeoutError


class _Silence:
    """When an answer to this process failed to come last (monotonic seconds)."""

    noticed_at = float("-inf")


class Attentive(AbstractConnection):
    """Notes a silence, and knows whether it is older than the last one. For connections that listen: whoever polls
    their sockets has to know when one is made anew, and sees to it.
    """

    _made_at = float("-inf")

    @property
    def is_suspect(self) -> bool:
        """Whether any connection of this process has fallen silent since this one was made."""
        return self._made_at < _Silence.noticed_at

    def _connect(self) -> Any:
        made = super()._connect()  # type: ignore[no-untyped-call,safe-super]
        self._made_at = time.monotonic()
        return made

    def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return super().read_response(*args, **options)
        except TimeoutError:
            if "timeout" not in options:  # else whoever reads knows that there may be nothing to read
                _Silence.noticed_at = time.monotonic()
            raise


class Wary(Attentive):
    """Made anew when it is suspect. For connections that ask: their pool calls :meth:`connect` as it hands one out."""

    def connect(self) -> None:
        if self.is_suspect:
            self.disconnect()  # type: ignore[no-untyped-call]
        super().connect()  # type: ignore[no-untyped-call]


class AttentiveConnection(Attentive, Connection):
    """Over TCP."""


class AttentiveSSLConnection(Attentive, SSLConnection):
    """Over TLS."""


class WaryConnection(Wary, Connection):
    """Over TCP."""


class WarySSLConnection(Wary, SSLConnection):
    """Over TLS."""
