"""A socket whose time limit the kernel keeps behaves as any socket with a limit."""

import socket
import sys
import time
from collections.abc import Iterator

import pytest

from jobs.limited_socket import LimitedSocket, limited

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere Python keeps the limit")

LIMIT = 0.2


@pytest.fixture
def pair() -> Iterator[tuple[LimitedSocket, socket.socket]]:
    ours, other = socket.socketpair()
    made = limited(ours, LIMIT)
    assert isinstance(made, LimitedSocket)
    yield made, other
    made.close()
    other.close()


def test_what_comes_is_received_and_what_is_sent_arrives(pair: tuple[LimitedSocket, socket.socket]) -> None:
    ours, other = pair
    other.sendall(b"question")
    assert ours.recv(100) == b"question"
    other.sendall(b"more")
    buffer = bytearray(10)
    assert ours.recv_into(buffer) == 4
    ours.sendall(b"answer")
    assert other.recv(100) == b"answer"


def test_the_connection_is_the_same_and_the_old_object_is_done_with() -> None:
    ours, other = socket.socketpair()
    descriptor = ours.fileno()
    with other, limited(ours, LIMIT) as made:
        assert made.fileno() == descriptor
        assert ours.fileno() == -1
        assert made.getblocking()


def test_a_silent_peer_is_a_timeout_in_time(pair: tuple[LimitedSocket, socket.socket]) -> None:
    ours, _ = pair
    for receive in (lambda: ours.recv(1), lambda: ours.recv_into(bytearray(1))):
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            receive()
        assert LIMIT * 0.9 < time.monotonic() - began < LIMIT * 5


def test_a_peer_that_takes_nothing_is_a_timeout(pair: tuple[LimitedSocket, socket.socket]) -> None:
    ours, _ = pair
    with pytest.raises(TimeoutError):
        ours.sendall(b"x" * 10_000_000)


def test_the_limit_can_be_changed_and_taken_away(pair: tuple[LimitedSocket, socket.socket]) -> None:
    ours, other = pair
    ours.settimeout(0)
    with pytest.raises(BlockingIOError):
        ours.recv(1)
    ours.settimeout(0.01)
    with pytest.raises(TimeoutError):
        ours.recv(1)
    ours.settimeout(None)
    assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16) == bytes(16)
    other.sendall(b"x")
    assert ours.recv(1) == b"x"


def test_a_look_takes_nothing_and_leaves_the_socket_as_it_was(pair: tuple[LimitedSocket, socket.socket]) -> None:
    ours, other = pair
    assert not ours.has_more()
    assert ours.getblocking()
    other.sendall(b"x")
    assert ours.has_more()
    assert ours.recv(1) == b"x"
    other.close()
    assert ours.has_more()


def test_a_socket_of_gevents_stays_what_it_is() -> None:
    class Cooperative(socket.socket):
        pass

    with Cooperative() as theirs:
        assert limited(theirs, LIMIT) is theirs
