"""gunicorn's master, which ends without resetting a connection that a client believes to have made, and at any time."""

import contextlib
import ctypes
import os
import signal
import socket
import struct
import sys
from typing import Any

from gunicorn.arbiter import Arbiter

_SO_ATTACH_FILTER = 26
"""Linux's; the socket module does not name it."""
_DROP = struct.pack("HBBI", 0x06, 0, 0, 0)
"""One instruction of classic BPF: return 0, of this packet nothing is kept."""
_STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


class DrainingArbiter(Arbiter):  # type: ignore[misc]
    """Closing a listening socket resets every connection in its backlog, so nothing new comes in before it is closed.

    The workers accept what has come until they close it, up to a second later. Who connects meanwhile gets no answer
    from the kernel, tries again after a second, and is refused, as by any server that is not there.
    """

    def stop(self, graceful: bool = True) -> None:
        is_ours = self.reexec_pid == self.master_pid == 0 and not self.systemd  # nobody else goes on listening to it
        if graceful and is_ours:
            for listener in self.LISTENERS:
                _take_no_more(listener.sock)
        super().stop(graceful)

    def spawn_worker(self) -> Any:
        """A worker has its own handlers only after a while. Until then it would put our signals to us into our queue.

        So it is told of them when :func:`end_when_told` has run in it.
        """
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
        try:
            return super().spawn_worker()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def end_when_told(arbiter: Any, worker: Any) -> None:
    """gunicorn's ``post_fork``: a worker that is told to stop while it starts does so."""
    for number in _STOPS:
        signal.signal(number, lambda *_: os._exit(0))  # there is nothing to tidy up; an exception may be swallowed
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)


def _take_no_more(listener: Any) -> None:
    """Have the kernel drop what is sent to the socket; connections that it has made are not concerned."""
    if not sys.platform.startswith("linux"):
        return
    code = ctypes.create_string_buffer(_DROP)
    program = struct.pack("@HP", 1, ctypes.addressof(code))
    with contextlib.suppress(OSError):  # a sandbox that forbids it costs a rare reset
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
