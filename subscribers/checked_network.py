"""The network as a callback may use it: only addresses that may be reached, and only until a deadline."""

import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any

import httpcore

from jobs.addresses import Allowed

Resolve = Callable[[str, int], list[tuple[Any, ...]]]
"""As ``socket.getaddrinfo`` answers."""


class AddressRefused(Exception):
    """The host stands for no address that may be reached; nothing was sent to any."""


def resolve(host: str, port: int) -> list[tuple[Any, ...]]:
    return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))


class CheckedNetwork(httpcore.NetworkBackend):
    """For one request. The host is looked up once, each address is checked, and the connection goes to that very
    address: what the name stands for a moment later makes no difference (DNS rebinding).

    Args:
        seconds: in which all of the request must be over.
    """

    def __init__(self, allowed: Allowed, seconds: float, resolve: Resolve = resolve) -> None:
        self._allowed, self._resolve = allowed, resolve
        self._deadline = time.monotonic() + seconds

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address that may be reached and answers.

        Raises:
            AddressRefused.
            httpcore.ConnectTimeout, httpcore.ConnectError.
        """
        with _told_as(httpcore.ConnectTimeout, httpcore.ConnectError):
            found = self._resolve(host, port)
            checked = [each for each in found if self._allowed.reaches(host, ip_address(each[4][0]))]
            if not checked:
                raise AddressRefused(f"{found[0][4][0] if found else 'no address'} is not public, and is not allowed")
            for family, kind, protocol, _, address in checked[:-1]:
                try:
                    return self._connected(family, kind, protocol, address)
                except OSError:
                    continue  # the next may answer
            family, kind, protocol, _, address = checked[-1]
            return self._connected(family, kind, protocol, address)

    def _connected(self, family: Any, kind: Any, protocol: int, address: Any) -> "DeadlineStream":
        plain = socket.socket(family, kind, protocol)
        try:
            plain.settimeout(left_until(self._deadline))
            plain.connect(address)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException:
            plain.close()
            raise
        return DeadlineStream(plain, self._deadline)


class DeadlineStream(httpcore.NetworkStream):
    """A connection whose every step ends at one deadline, however slowly the other side drips."""

    def __init__(self, connected: socket.socket, deadline: float) -> None:
        self._socket, self._deadline = connected, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with _told_as(httpcore.ReadTimeout, httpcore.ReadError):
            self._socket.settimeout(left_until(self._deadline))
            return self._socket.recv(max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with _told_as(httpcore.WriteTimeout, httpcore.WriteError):
            while buffer:
                self._socket.settimeout(left_until(self._deadline))
                buffer = buffer[self._socket.send(buffer) :]

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """The same connection under TLS; the certificate is checked against the host's name."""
        with _told_as(httpcore.ConnectTimeout, httpcore.ConnectError):
            try:
                self._socket.settimeout(left_until(self._deadline))
                wrapped = ssl_context.wrap_socket(self._socket, server_hostname=server_hostname)
            except BaseException:
                self.close()
                raise
        return DeadlineStream(wrapped, self._deadline)

    def close(self) -> None:
        self._socket.close()


def left_until(deadline: float) -> float:
    """Seconds.

    Raises:
        TimeoutError: none are left.
    """
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the time is over")
    return left


@contextmanager
def _told_as(timeout: type[Exception], other: type[Exception]) -> Iterator[None]:
    """Errors of the system as httpcore's."""
    try:
        yield
    except TimeoutError as error:
        raise timeout(str(error)) from error
    except (OSError, UnicodeError) as error:  # the latter: a name that cannot be asked for
        raise other(str(error)) from error
