"""A short way to ask Redis thousands of times a second.

A command through redis-py's client costs twice its own time once more, for the pool's bookkeeping, a look whether the
connection is sound, and metrics. Here a connection that has broken meanwhile is noticed by the command, which is sent
once more, on a new one, as the client does it. So it must do no harm twice.
"""

import os
import threading
import time
from collections import deque
from typing import Any
from weakref import WeakSet

from hiredis import pack_command
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, ResponseError, TimeoutError
from redis.retry import Retry

from jobs.connections.client import tried_twice

AT_HAND = 16
"""Connections that a :class:`Line` keeps to itself."""
MOST_AT_ONCE = 16
"""Questions that are asked together: the server holds all answers to them, and each may be a record of a megabyte."""
MOST_BYTES_AT_ONCE = 256 * 1024
"""Of what is asked together; one question may be longer."""
ONE_TRY = Retry(NoBackoff(), 0)


class Line:
    """A few connections of a pool, kept at hand: for those who ask one after the other."""

    def __init__(self, pool: Any, *, again: bool = True) -> None:
        """``again`` is that of :func:`jobs.connections.client.connect`."""
        self._pool, self._pid = pool, os.getpid()
        self._tried_twice = tried_twice(again)
        self._at_hand: deque[Any] = deque()

    def ask(self, *command: Any) -> Any:
        """What the server answers; redis-py's errors."""
        packed = [pack_command(command)]
        connection = self._take()
        try:
            answer = self._answer(connection, packed)
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

    def _answer(self, connection: Any, packed: list[bytes]) -> Any:
        """The answer; a second try, on a new connection, when this one breaks."""
        try:
            connection.connect()  # it is made anew if others have fallen silent
            connection.send_packed_command(packed)
            return connection.read_response()
        except self._tried_twice:
            connection.disconnect()
            connection.send_packed_command(packed)
            return connection.read_response()


class SharedLine:
    """One connection of a pool, for many threads or greenlets: those who ask at once ask together.

    Whoever asks while nobody does so sends what has been asked by then, and reads the answers; what others ask
    meanwhile is sent by one of them. So a busy process sends, reads and wakes the server once for several questions.

    Not where an exception may be raised at any place, as by a soft time limit: it might end the one who asks for all
    before it could hand that on.
    """

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self.begin()
        _SHARED.add(self)

    def ask(self, *command: Any) -> Any:
        """What the server answers; redis-py's errors."""
        packed = pack_command(command)
        try:
            return self._ask(packed)
        except tried_twice():
            return self._ask(packed)

    def begin(self) -> None:
        """With a connection of its own and no question: also in a fork, which has none of its parent's."""
        self._connection: Any = None
        self._asked: deque[_Question] = deque()
        """What has not been sent yet, in its order."""
        self._asking = threading.Lock()
        """Held by the one who asks for all, and handed on with that."""

    def _ask(self, packed: bytes) -> Any:
        question = _Question(packed)
        self._asked.append(question)
        try:
            if self._asking.acquire(blocking=False):
                question.asks_for_all = True
                time.sleep(0)  # who is about to ask comes along
            else:
                question.wait()
            while not question.is_answered:
                self._ask_together()
        finally:
            if not question.is_answered and question in self._asked:
                self._asked.remove(question)
            if question.asks_for_all:
                self._hand_on()
        return question.outcome()

    def _hand_on(self) -> None:
        while True:
            try:
                self._asked[0].ask_for_all()
                return
            except IndexError:
                self._asking.release()
            if not self._asked or not self._asking.acquire(blocking=False):
                return

    def _ask_together(self) -> None:
        questions = self._taken()
        try:
            connection = self._connected()
            connection.send_packed_command([b"".join([question.packed for question in questions])])
            for question in questions:
                try:
                    question.answer(connection.read_response(disconnect_on_error=False))
                except (ResponseError, UnicodeDecodeError) as refusal:  # all of the answer has been read
                    question.fail(refusal)
        except BaseException as error:
            self._give_up(questions, error)
            if not isinstance(error, Exception):
                raise

    def _give_up(self, questions: "list[_Question]", error: BaseException) -> None:
        """The first that has no answer is the one that failed so; the connection is of no more use to the others."""
        if self._connection is not None:
            self._connection.disconnect()
        if isinstance(error, TimeoutError):  # who waits to be asked has waited as long
            questions = [*questions, *self._asked]
            self._asked.clear()
        own = error if isinstance(error, Exception) else _for_another(error)
        for question in questions:
            if not question.is_answered:
                question.fail(own)
                own = _for_another(error)

    def _connected(self) -> Any:
        if self._connection is None:
            self._connection = self._pool.make_connection()  # beside those that it counts
            self._connection.retry = ONE_TRY  # the second one is with the question
        self._connection.connect()  # it is made anew if others have fallen silent
        return self._connection

    def _taken(self) -> "list[_Question]":
        """What is to be asked together now."""
        taken: list[_Question] = []
        size = 0
        while self._asked and len(taken) < MOST_AT_ONCE and size < MOST_BYTES_AT_ONCE:
            taken.append(self._asked.popleft())
            size += len(taken[-1].packed)
        return taken


class _Question:
    """A command, and what became of it; a bare lock is the lightest thing that sleeps, in threads and greenlets."""

    __slots__ = ("_answer", "_error", "_lock", "asks_for_all", "is_answered", "packed")

    def __init__(self, packed: bytes) -> None:
        self.packed = packed
        self.is_answered = False
        self.asks_for_all = False
        self._answer: Any = None
        self._error: Exception | None = None
        self._lock = threading.Lock()
        self._lock.acquire()

    def wait(self) -> None:
        """Sleep until it is answered, or is to ask for all."""
        self._lock.acquire()

    def ask_for_all(self) -> None:
        self.asks_for_all = True
        self._lock.release()

    def answer(self, answer: Any) -> None:
        self._answer = answer
        self._is_over()

    def fail(self, error: Exception) -> None:
        self._error = error
        self._is_over()

    def outcome(self) -> Any:
        """The answer; raises what came instead."""
        if self._error is None:
            return self._answer
        error, self._error = self._error, None  # whose traceback refers to whoever raises it
        raise error

    def _is_over(self) -> None:
        self.is_answered = True
        if not self.asks_for_all:
            self._lock.release()


def _for_another(error: BaseException) -> Exception:
    """What those are told who asked together with one that failed so."""
    if isinstance(error, (ConnectionError, TimeoutError)):
        return type(error)(*error.args)
    return ConnectionError(f"given up after {error!r} in another's answer")


_SHARED: WeakSet[SharedLine] = WeakSet()


def _begin_in_a_fork() -> None:
    for line in _SHARED:
        line.begin()


os.register_at_fork(after_in_child=_begin_in_a_fork)
