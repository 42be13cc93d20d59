"""A gevent worker in which a request that waits for a job occupies no greenlet.

A greenlet that has once run a view keeps some 20 kB of stack. The answer of a request that waits for long is a
:class:`app.pending.Pending`, and its connection is parked: the greenlet ends, and another one answers when the job has
ended or the time is over, and goes on with the connection's next request.
"""

import time
from typing import Any

from gevent import get_hub
from gevent.local import local
from gevent.pool import Group
from gunicorn.http.wsgi import Response
from gunicorn.util import close
from gunicorn.workers.ggevent import GeventWorker

from app.pending import Pending
from app.read_ahead import read_ahead


class ParkingWorker(GeventWorker):  # type: ignore[misc]
    """gunicorn's gevent worker, for applications that may answer later."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._own = local()
        """Of the present greenlet: ``listener``, ``client``, ``addr``, and the ``request`` that it answers."""
        self._going_on = Group()
        """Greenlets that answer a parked request, and go on with its connection."""
        self._names: dict[Any, _Named] = {}
        """What gunicorn asks of each listener when it begins with a connection: then it may be closed already."""

    def run(self) -> None:
        """As gunicorn does, which knows only the greenlets that it has made itself."""
        self._names = {listener: _Named(listener.getsockname()) for listener in self.sockets}
        super().run()
        self._going_on.join(timeout=self.cfg.graceful_timeout)
        self._going_on.kill(timeout=1)

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        listener = self._names.get(listener, listener)
        self._own.listener, self._own.client, self._own.addr = listener, client, addr
        super().handle(listener, client, addr)

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> Any:
        self._own.request = req
        return super().handle_request(listener_name, req, sock, addr)

    def is_already_handled(self, respiter: Any) -> bool:
        """gunicorn's place for answers that are none of its business; StopIteration makes it leave the connection."""
        if isinstance(respiter, Pending) and _is_all_read(self._own.request):
            parked = _Parked(self, respiter, self._own)
            if parked.leave():
                raise StopIteration
        return bool(super().is_already_handled(respiter))

    def go_on(self, parked: "_Parked") -> None:
        """Answer a parked request; may be called where nothing may block."""
        self._going_on.spawn(self._go_on, parked)

    def _go_on(self, parked: "_Parked") -> None:
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
            self.handle(parked.listener, parked.client, parked.addr)

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


class _Named:
    """A listener's name, once it is closed."""

    def __init__(self, name: Any) -> None:
        self._name = name

    def getsockname(self) -> Any:
        return self._name


class _Parked:
    """A request that waits, and its connection."""

    __slots__ = ("_is_over", "_timer", "_worker", "addr", "client", "listener", "pending", "request")

    def __init__(self, worker: ParkingWorker, pending: Pending, own: Any) -> None:
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
