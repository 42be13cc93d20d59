"""What becomes of a message that the other broker does not confirm."""

from collections.abc import Callable, Iterator
from socket import socketpair
from typing import Any

import pytest
from amqp.exceptions import MessageNacked, PreconditionFailed, RecoverableConnectionError
from kombu.exceptions import OperationalError, SerializationError

from jobs.errors import NotPublished
from jobs.messages import publisher
from jobs.messages.publisher import Publisher


class _Broker:
    """As much of an app, its pool's one connection, and a connection's socket as publishing needs."""

    def __init__(self) -> None:
        self.fails_with: Exception | None = None
        self.asked = self.opened = 0
        self.connected = False
        self.alt: list[str] = []
        self.timeout: float | None = None
        self.connection = self.sock = self
        self.near, self.far = socketpair()

    def fileno(self) -> int:
        return self.near.fileno()

    def connection_or_acquire(self) -> "_Broker":
        return self

    def __enter__(self) -> "_Broker":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def collect(self) -> None:
        self.connected = False

    def ensure_connection(self, max_retries: int) -> None:
        self.connected = True
        self.opened += 1

    def settimeout(self, seconds: float) -> None:
        self.timeout = seconds

    def send_task(self, *_: Any, **options: Any) -> None:
        assert options["retry"] is False
        assert self.timeout is not None
        self.asked += 1
        if self.fails_with is not None:
            raise self.fails_with


@pytest.fixture
def broker() -> Iterator[_Broker]:
    made = _Broker()
    with made.near, made.far:
        yield made


@pytest.fixture
def publish(broker: _Broker) -> Callable[[], None]:
    made: Any = Publisher(broker)  # type: ignore[arg-type]
    return lambda: made.publish("1", "t")


def test_a_connection_is_used_again(broker: _Broker, publish: Callable[[], None]) -> None:
    publish()
    publish()
    assert (broker.asked, broker.opened) == (2, 1)


def test_a_connection_on_which_something_came_unasked_is_not(broker: _Broker, publish: Callable[[], None]) -> None:
    publish()
    broker.far.send(b"that it is closed")
    publish()
    assert (broker.asked, broker.opened) == (2, 2)


@pytest.mark.parametrize(
    "error",
    [TimeoutError("timed out"), OperationalError("closed"), RecoverableConnectionError("closed"), OSError("reset")],
    ids=repr,
)
def test_a_broker_that_does_not_answer_is_not_asked_for_a_moment(
    broker: _Broker, publish: Callable[[], None], error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "AWAY_FOR", 60.0)
    broker.fails_with = error
    for _ in range(3):
        with pytest.raises(NotPublished):
            publish()
    assert broker.asked == 1
    monkeypatch.setattr(publisher, "AWAY_FOR", 0.0)
    broker.fails_with = None
    publish()
    assert broker.asked == 2


def _from(cause: Exception) -> Exception:
    """As kombu reports a nack."""
    error = OperationalError("")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize("error", [MessageNacked(), _from(MessageNacked()), PreconditionFailed("other type")], ids=repr)
def test_a_refusal_concerns_one_message(broker: _Broker, publish: Callable[[], None], error: Exception) -> None:
    broker.fails_with = error
    with pytest.raises(NotPublished):
        publish()
    broker.fails_with = None
    publish()
    assert broker.asked == 2


@pytest.mark.parametrize("error", [MessageNacked(), _from(MessageNacked()), SerializationError("no text")], ids=repr)
def test_a_connection_is_used_again_after_a_nack_and_what_was_not_sent(
    broker: _Broker, publish: Callable[[], None], error: Exception
) -> None:
    broker.fails_with = error
    for _ in range(3):
        with pytest.raises(NotPublished):
            publish()
    assert (broker.asked, broker.opened) == (3, 1)


def test_no_confirmation_is_taken_for_that_of_the_next_message(
    broker: _Broker, publish: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is late would come on the connection on which it was waited for."""
    monkeypatch.setattr(publisher, "AWAY_FOR", 0.0)
    publish()
    broker.fails_with = PreconditionFailed("other type")
    with pytest.raises(NotPublished):
        publish()
    assert not broker.connected
    broker.fails_with = None
    publish()
    assert broker.opened == 2


def test_a_connection_that_is_older_than_the_last_failure_is_made_anew(
    broker: _Broker, publish: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "AWAY_FOR", 0.0)
    publish()
    broker.fails_with = TimeoutError()
    with pytest.raises(NotPublished):
        publish()
    broker.fails_with, broker.connected = None, True  # as another one of the pool, which nobody has used since
    publish()
    assert broker.opened == 2


def test_a_mistake_of_ours_is_no_broker_that_is_away(broker: _Broker, publish: Callable[[], None]) -> None:
    broker.fails_with = ValueError("ours")
    with pytest.raises(ValueError, match="ours"):
        publish()
