"""A socket whose time limit the kernel keeps.

Python's own limit makes the socket non-blocking and asks poll() before every send and every receive: two system calls
in place of one. Under gevent, which waits by other means, and outside Linux, sockets stay what they are.
"""

import socket
import struct
import sys
from typing import Any

_PLAIN: type[socket.socket] | None = (
    socket.socket if sys.platform == "linux" and socket.socket.__module__ == "socket" else None
)
"""None when gevent has put its own in place of Python's."""


class LimitedSocket(socket.socket):
    """Blocking, within a limit; past it a TimeoutError is raised, as by any socket."""

    def settimeout(self, value: float | None) -> None:
        if value == 0:
            super().settimeout(0)
            return
        super().settimeout(None)
        seconds = value or 0.0  # 0 means for ever to the kernel
        limit = struct.pack("@ll", int(seconds), max(int(seconds % 1 * 1e6), int(0 < seconds < 1e-6)))
        self.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        self.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)

    def recv_into(self, *args: Any) -> int:
        try:
            return super().recv_into(*args)
        except BlockingIOError as error:
            raise self._over(error) from None

    def recv(self, *args: Any) -> bytes:
        try:
            return super().recv(*args)
        except BlockingIOError as error:
            raise self._over(error) from None

    def sendall(self, *args: Any) -> None:
        try:
            super().sendall(*args)
        except BlockingIOError as error:
            raise self._over(error) from None

    def has_more(self) -> bool:
        """Whether a receive would return at once, with something or with the end."""
        try:
            super().recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        return True

    def _over(self, error: BlockingIOError) -> OSError:
        return error if super().gettimeout() == 0 else TimeoutError("timed out")


def limited(connected: socket.socket, seconds: float | None) -> socket.socket:
    """The same connection, its limit kept by the kernel where that is possible; ``connected`` is not to be used on."""
    if type(connected) is not _PLAIN:
        return connected
    made = LimitedSocket(connected.family, connected.type, connected.proto, fileno=connected.detach())
    made.settimeout(seconds)
    return made
