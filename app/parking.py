"""A gevent worker in which a request that waits for a job occupies no greenlet.

A greenlet that has once run a view keeps some 20 kB of stack. The answer of a request that waits for long is a
:class:`app.pending.Pending`, and its connection is parked: the greenlet ends, and another one answers when the job has
ended or the time is over. Until its next request comes, the connection rests without a greenlet too.
"""

import time
from collections import deque
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from gevent import get_hub, getcurrent, sleep
from gevent.pool import Group
from gunicorn.http.wsgi import Response
from gunicorn.util import close
from gunicorn.workers.ggevent import GeventWorker

from app.pending import Pending
from app.read_ahead import read_ahead

ANSWERS_IN_A_ROW = 16
"""Parked requests that a greenlet answers before others have their turn: to make one takes as long as to answer."""
READABLE = 1
"""libev's name for what a connection becomes when a request comes, or its end."""


class ParkingWorker(GeventWorker):  # type: ignore[misc]
    """gunicorn's gevent worker, for applications that may answer later."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._over: deque[_Parked] = deque()
        """Parked requests that are to be answered now."""
        self._is_one_to_answer = False
        """Whether a greenlet has been made for them that has not begun."""
        self._resting: dict[Any, Any] = {}
        """Connections without a greenlet, and who watches them."""
        self._going_on = Group()
        """Greenlets that answer parked requests, and those of connections that have rested."""
        self._names: dict[Any, _Named] = {}
        """What gunicorn asks of each listener when it begins with a connection: then it may be closed already."""

    def run(self) -> None:
        """As gunicorn does, which knows only the greenlets that it has made itself."""
        self._names = {listener: _Named(listener.getsockname()) for listener in self.sockets}
        super().run()
        until = time.monotonic() + self.cfg.graceful_timeout
        while self._resting and time.monotonic() < until:
            sleep(0.05)
        self._going_on.join(timeout=max(0.0, until - time.monotonic()))
        self._going_on.kill(timeout=1)

    def idle(self, client: Any) -> AbstractContextManager[None]:
        """Entered for as long as a connection waits for its next request."""
        return nullcontext()

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        listener = self._names.get(listener, listener)
        getcurrent().own = _Own(listener, client, addr)
        super().handle(listener, client, addr)

    def timeout_ctx(self) -> AbstractContextManager[None]:
        """gunicorn enters it for each wait for a request."""
        return self.idle(getcurrent().own.client)

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> Any:
        getcurrent().own.request = req
        return super().handle_request(listener_name, req, sock, addr)

    def is_already_handled(self, respiter: Any) -> bool:
        """gunicorn's place for answers that are none of its business; StopIteration makes it leave the connection."""
        if isinstance(respiter, Pending) and _is_all_read(getcurrent().own.request):
            parked = _Parked(self, respiter, getcurrent().own)
            if parked.leave():
                raise StopIteration
        return bool(super().is_already_handled(respiter))

    def go_on(self, parked: "_Parked") -> None:
        """Answer a parked request; may be called where nothing may block."""
        self._over.append(parked)
        self._have_them_answered()

    def _have_them_answered(self) -> None:
        if self._over and not self._is_one_to_answer:
            self._is_one_to_answer = True
            self._going_on.spawn(self._answer_some)

    def _answer_some(self) -> None:
        self._is_one_to_answer = False
        for _ in range(ANSWERS_IN_A_ROW):
            if not self._over:
                return
            parked = self._over.popleft()
            self._have_them_answered()  # by another one, should this one's client take its time
            self._answer(parked)

    def _answer(self, parked: "_Parked") -> None:
        is_of_use = False
        try:
            is_of_use = self.write_answer(parked.pending, parked.request, parked.client) and self.alive
        except OSError as error:
            self.log.debug("the client of a parked request has gone: %s", error)
        except Exception as error:
            self.handle_error(parked.request, parked.client, parked.addr, error)
        finally:
            parked.pending.close()
            if not is_of_use:
                close(parked.client)
        if is_of_use:
            self._rest(parked.listener, parked.client, parked.addr)

    def _rest(self, listener: Any, client: Any, addr: Any) -> None:
        """Go on with the connection when something comes."""
        watcher, idle = get_hub().loop.io(client.fileno(), READABLE), self.idle(client)

        def wake() -> None:
            self._resting.pop(client).close()
            idle.__exit__(None, None, None)
            self._going_on.spawn(self.handle, listener, client, addr)

        self._resting[client] = watcher
        idle.__enter__()
        watcher.start(wake)

    def write_answer(self, pending: Pending, req: Any, client: Any) -> bool:
        """Answer on the connection; whether it can be used for another request."""
        response = Response(req, client, self.cfg)
        pieces = pending.answer_to(response.start_response)
        if not self.alive:  # which may have ended while it was asked for
            response.force_close()
        for piece in pieces:
            response.write(piece)
        response.close()
        return not response.should_close()


@dataclass(slots=True)
class _Own:
    """What a greenlet has in hand: a connection, and the request of it that it answers."""

    listener: Any
    client: Any
    addr: Any
    request: Any = None


class _Named:
    """A listener's name, once it is closed."""

    def __init__(self, name: Any) -> None:
        self._name = name

    def getsockname(self) -> Any:
        return self._name


class _Parked:
    """A request that waits, and its connection."""

    __slots__ = ("_is_over", "_timer", "_worker", "addr", "client", "listener", "pending", "request")

    def __init__(self, worker: ParkingWorker, pending: Pending, own: _Own) -> None:
        self._worker, self.pending = worker, pending
        self.listener, self.client, self.addr, self.request = own.listener, own.client, own.addr, own.request
        self._is_over = False
        self._timer: Any = None

    def leave(self) -> bool:
        """Take the connection away from the greenlet that has it, which will close what it still has of it."""
        left = self.client
        if not self.pending.tell(self._wake):  # nobody can say when there is an answer
            return False
        self.client = type(left)(left.family, left.type, left.proto, fileno=left.detach())
        if not self._is_over:
            self._timer = get_hub().loop.timer(max(0.0, self.pending.until - time.monotonic()))
            self._timer.start(self._wake)
        return True

    def _wake(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        if self._timer is not None:
            self._timer.close()
        self._worker.go_on(self)


def _is_all_read(request: Any) -> bool:
    """Whether gunicorn holds no byte of the connection that a new reader would miss: of the body, or beyond it."""
    if read_ahead(request.unreader):
        return False
    reader = request.body.reader
    return getattr(reader, "length", None) == 0 or getattr(reader, "parser", reader) is None
