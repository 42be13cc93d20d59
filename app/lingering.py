"""Reading on after the last answer of a connection: to close one with unread input would reset the answer away."""

import socket
from contextlib import suppress
from typing import Any

from gevent import Timeout, sleep

LINGER = 1.0
"""Seconds that we read on at most."""

MOST_BYTES = 32 * 1024 * 1024
"""What we read on at most: bodies that are too large by mistake have some megabytes."""


def read_on(client: Any) -> None:
    """End our side of the connection, and pass over what the other side still sends; the caller closes it then."""
    left = MOST_BYTES
    with Timeout(LINGER, False), suppress(OSError):  # the client may have gone
        client.shutdown(socket.SHUT_WR)
        while left > 0 and (piece := client.recv(65_536)):
            left -= len(piece)
            sleep(0)  # a fast client leaves gevent no reason to switch
