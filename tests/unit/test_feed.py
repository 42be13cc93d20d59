"""The feed of events while Redis is silent, and after errors: nobody queues behind another, and no event is missed."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from redis.exceptions import InvalidResponse, TimeoutError
from support.eventually import eventually

from jobs.errors import StoreUnavailable
from jobs.events.entries import Raw
from jobs.events.feed import Feed
from jobs.events.listener import Interest, Listener
from jobs.model.event import Event
from jobs.store.reader import JobReader

SILENT_FOR = 0.5


class Stream:
    """A client of Redis, and the one stream that this holds."""

    def __init__(self) -> None:
        self.when_asked_for_the_newest: Callable[[], object] = lambda: None
        """Called when the answer is known and not yet given."""
        self.errors: list[Exception] = []
        """What the next reads raise."""
        self._held: list[Raw] = []

    @property
    def client(self) -> "Stream":
        return self

    def add(self) -> str:
        """The id of one more event."""
        number = len(self._held) + 1
        members = {"id": f"j:{number}", "time": "2026-11-24T00:00:00.000Z", "owner": "o", "sequence": number}
        data = {"job_id": "j", "job_type": "t", "owner": "o", "status": "New"}
        text = json.dumps({"specversion": "1.0", "type": "job.created", **members, "data": data})
        self._held.append((f"{number}-0".encode(), {b"event": text.encode()}))
        return f"{number}-0"

    def execute_command(self, command: str, *arguments: Any, **_: Any) -> Any:
        if command == "XREVRANGE":
            newest = self._held[-1:]
            self.when_asked_for_the_newest()
            return newest
        if self.errors:
            raise self.errors.pop(0)
        found = self._held[int(arguments[-1].split("-")[0]) :]
        if not found:
            time.sleep(0.01)  # it would block
        return [(b"stream", found)] if found else None


@pytest.fixture
def stream() -> Stream:
    return Stream()


@pytest.fixture
def feed(stream: Stream) -> Feed:
    return Feed(cast(JobReader, stream), stream_length=1_000)


@pytest.fixture
def listen(feed: Feed) -> Iterator[Callable[..., Listener]]:
    """:meth:`Feed.listen`; whoever listens leaves at the end."""
    listening: list[Listener] = []

    def listen(interest: Interest | None = None) -> Listener:
        listening.append(feed.listen(interest or Interest()))
        return listening[-1]

    yield listen
    for listener in listening:
        feed.leave(listener)


Listen = Callable[..., Listener]


def silence() -> None:
    time.sleep(SILENT_FOR)
    raise TimeoutError


def told(listener: Listener) -> list[str]:
    return [entry.id for entry in listener.take(5)]


# --- while nobody reads yet


def test_who_comes_while_redis_is_silent_fails_with_the_first(stream: Stream, feed: Feed) -> None:
    stream.when_asked_for_the_newest = silence

    def fail() -> None:
        with pytest.raises(StoreUnavailable):
            feed.listen(Interest())

    began = time.monotonic()
    threads = [threading.Thread(target=fail) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # one after the other they would take twenty; who comes just after a failure tries once more
    assert time.monotonic() - began < 10 * SILENT_FOR


def test_who_comes_after_that_asks_again(stream: Stream, feed: Feed, listen: Listen) -> None:
    stream.when_asked_for_the_newest = silence
    with pytest.raises(StoreUnavailable):
        feed.listen(Interest())
    stream.when_asked_for_the_newest = lambda: None
    listener = listen()
    assert [stream.add()] == told(listener)


def test_who_leaves_does_not_wait_for_redis(stream: Stream, feed: Feed, listen: Listen) -> None:
    is_asked, answers = threading.Event(), threading.Event()

    def hang() -> None:
        is_asked.set()
        assert answers.wait(10)

    stream.when_asked_for_the_newest = hang
    coming = threading.Thread(target=listen)
    coming.start()
    assert is_asked.wait(5)
    leaving = threading.Thread(target=feed.leave, args=(Listener(Interest(), "0-0", lambda: None),))
    leaving.start()
    leaving.join(2)
    has_left = not leaving.is_alive()
    answers.set()
    coming.join(5)
    leaving.join(5)
    assert has_left


def test_what_comes_while_the_newest_is_told_is_not_missed(stream: Stream, listen: Listen) -> None:
    known, missed = stream.add(), []
    stream.when_asked_for_the_newest = lambda: missed.append(stream.add())
    listener = listen()
    assert (listener.after, told(listener)) == (known, missed)


# --- while somebody reads


class Slow(Interest):
    """Of somebody at whom the reader stays until it is let go on."""

    reached, goes_on = threading.Event(), threading.Event()

    def covers(self, event: Event) -> bool:
        self.reached.set()
        return self.goes_on.wait(10)


def test_who_comes_while_an_event_is_told_has_it_told_or_behind(stream: Stream, listen: Listen) -> None:
    slow = Slow()
    listen(slow)
    being_told = stream.add()
    assert slow.reached.wait(5)
    came: list[Listener] = []
    coming = threading.Thread(target=lambda: came.append(listen()))
    coming.start()
    coming.join(0.2)  # it may have to wait until the event is told
    slow.goes_on.set()
    coming.join(5)
    [listener] = came
    assert listener.after == being_told or told(listener) == [being_told]


def test_an_answer_that_is_none_is_a_break_of_the_connection(stream: Stream, listen: Listen) -> None:
    listener = listen()
    stream.errors = [InvalidResponse("Protocol error"), InvalidResponse("Protocol error")]
    eventually(lambda: not stream.errors)
    assert [stream.add()] == told(listener)
    assert not listener.is_closed


def test_after_an_error_that_nobody_expects_who_comes_back_is_told(
    stream: Stream, listen: Listen, caplog: pytest.LogCaptureFixture
) -> None:
    listener = listen()
    with caplog.at_level(logging.ERROR):
        stream.errors = [RuntimeError("a bug")]
        eventually(lambda: listener.is_closed)
    assert "a bug" in caplog.text
    again = listen()
    assert [stream.add()] == told(again)
