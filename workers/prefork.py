"""Celery's pool of processes, with a short way for a job into a process that has nothing to do.

Celery queues a job, has the event loop tell it which pipe takes something, writes head and body apart, and learns from
a message of the process (the ACK) that the job has begun: two turns of the event loop and a wake-up. Here the job is
written at once, in one piece, and counts as begun. What the ACK is for is known without it: which process has the job,
since when, and, should that process end, whether it had begun the job; it notes that in memory that both see.

Whatever is out of the ordinary goes Celery's way: no process is idle, a job is too long for one atomic write, the pipe
takes nothing, or processes are given jobs in advance (the strategy that Celery calls fcfs).
"""

import os
from collections.abc import Callable
from ctypes import c_int64
from select import PIPE_BUF
from struct import pack, unpack
from time import monotonic
from typing import Any

from billiard.pool import ACK, READY, TASK
from billiard.sharedctypes import RawValue
from celery.concurrency import asynpool, prefork
from celery.worker import state
from kombu.serialization import pickle

from jobs.messages.told_once import ToldOnce

HANDED_OVER = "handed over"
"""In place of a job's index, which this pool has no use for: the process repeats it in what it says of the job."""
NOTHING = -1

LOOKED_AT_EVERY = 1.0
"""Seconds between two looks at how long the running jobs have taken."""
SOON = 2 * LOOKED_AT_EVERY
"""Seconds to a time limit, from which on it is watched by a timer of its own."""


def packed(message: Any) -> bytes:
    """The message as it stands in a pipe: its length, and its pickle."""
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return pack(">I", len(body)) + body


class Outbox:
    """What a process of the pool says; that it begins a job which was handed over is noted, and not said."""

    def __init__(self, queue: Any, begun: Any) -> None:
        self._descriptor, self._put, self._begun = queue._writer.fileno(), queue.put, begun

    def put(self, message: Any) -> None:
        kind, told = message
        if kind == ACK and told[1] == HANDED_OVER:
            self._begun.value = told[0]
        elif kind == READY and len(raw := packed(message)) <= PIPE_BUF:
            os.write(self._descriptor, raw)  # billiard's own pickler takes three times as long for the same
        else:
            self._put(message)


def read_all(descriptor: int, size: int) -> bytes:
    """So many bytes of a pipe; an EOFError when its other end is closed."""
    raw = b""
    while len(raw) < size:
        more = os.read(descriptor, size - len(raw))
        if not more:
            raise EOFError
        raw += more
    return raw


class Worker(asynpool.Worker):  # type: ignore[misc]
    """One process of the pool; ``begun`` is the number of the job that it has begun last, for both sides to see."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.begun = RawValue(c_int64, NOTHING)
        super().__init__(*args, **options)

    def contribute_to_object(self, obj: Any) -> Any:
        obj.begun = self.begun
        return super().contribute_to_object(obj)

    def __reduce__(self) -> Any:
        return (*super().__reduce__(), {"begun": self.begun})

    def on_loop_start(self, pid: int) -> None:
        super().on_loop_start(pid)
        self.outq: Any = Outbox(self.outq, self.begun)

    def _make_recv_method(self, conn: Any) -> Callable[[float], tuple[bool, Any]]:
        """billiard's own, without the copies that it makes on the way."""
        descriptor = conn._reader.fileno()

        def receive(_timeout: float) -> tuple[bool, Any]:
            (length,) = unpack(">I", read_all(descriptor, 4))
            return True, pickle.loads(read_all(descriptor, length))

        return receive


class ResultHandler(asynpool.ResultHandler):  # type: ignore[misc]
    """Tells the event loop once of each process, and not after each of its messages."""

    def register_with_event_loop(self, hub: Any) -> None:
        super().register_with_event_loop(ToldOnce(hub))


class Pool(asynpool.AsynPool):  # type: ignore[misc]
    """Hands a job over at once where a process is idle."""

    ResultHandler = ResultHandler
    Worker = Worker

    @property
    def timers(self) -> dict[Callable[[], None], float]:
        return {**super().timers, self._look_at_limits: LOOKED_AT_EVERY}

    def _create_timelimit_handlers(self, hub: Any) -> None:
        """A timer stays with kombu until it would have rung, also when its job has ended an hour before.

        At a thousand jobs a second that is two gigabytes, and then a wake-up for each.
        """
        super()._create_timelimit_handlers(hub)
        self._set_timer: Callable[..., None] = self.on_timeout_set
        self.on_timeout_set: Callable[..., None] = lambda job, *_: self._watch(job)

    def _look_at_limits(self) -> None:
        for job in list(self._cache.values()):
            if job.accepted() and not job.ready() and not getattr(job, "_has_timer", False):
                self._watch(job)

    def _watch(self, job: Any) -> None:
        passed = monotonic() - job._time_accepted
        soft, hard = (limit and limit - passed for limit in (job._soft_timeout, job._timeout))
        if (soft or hard) and (soft or hard) <= SOON:
            job._has_timer = True
            self._set_timer(job, soft, hard)

    def _create_write_handlers(self, hub: Any, **options: Any) -> None:
        super()._create_write_handlers(hub, **options)
        queue, look_for_idle = self._quick_put, self.on_poll_start

        def hand_over_or_queue(message: Any) -> None:
            if not self._hand_over(message):
                queue(message)

        def look_if_any_waits() -> None:
            if self.outbound_buffer or not self._all_inqueues.isdisjoint(hub.writers):
                look_for_idle()

        self._quick_put: Callable[[Any], None] = hand_over_or_queue
        self.on_poll_start: Callable[[], None] = look_if_any_waits

    def _hand_over(self, message: Any) -> bool:
        """Whether an idle process has been written the job; all of it or nothing."""
        process = self._idle()
        if process is None:
            return False
        number, _, *call = message[1]
        raw = packed((TASK, (number, HANDED_OVER, *call)))
        if len(raw) > PIPE_BUF:
            return False
        try:
            os.write(process.inqW_fd, raw)
        except OSError:
            return False
        self._busy_workers.add(process.inqW_fd)
        self.write_stats[process.index] += 1
        job = self._cache[number]
        job._write_to = job._scheduled_for = process
        job._handed_over = message
        self._result_handler.on_state_change((ACK, (number, HANDED_OVER, monotonic(), process.pid, None)))
        return True

    def _idle(self) -> Any:
        if self.outbound_buffer or self.sched_strategy != asynpool.SCHED_STRATEGY_FAIR:
            return None
        for descriptor, process in self._fileno_to_inq.items():
            if descriptor not in self._busy_workers and descriptor not in self._active_writes:
                return process
        return None

    def process_flush_queues(self, proc: Any) -> None:
        """Called when a process has ended: after its last words it is known which job it had not begun."""
        super().process_flush_queues(proc)
        for job in list(self._cache.values()):
            mine = job._write_to is proc and getattr(job, "_handed_over", None) is not None
            if mine and proc.begun.value != job._job and not job.ready():
                self._take_back(job)

    def _take_back(self, job: Any) -> None:
        """As if it had not been accepted: Celery gives it to another process then."""
        message, job._handed_over = job._handed_over, None
        job._accepted, job._worker_pid, job._time_accepted = False, None, None
        job._payload = self._create_payload(*message)
        job._has_timer = False
        self.on_timeout_cancel(job)
        request = getattr(job._accept_callback, "__self__", None)
        if request is not None:
            request.worker_pid = request.time_start = None
            state.active_requests.discard(request)


class TaskPool(prefork.TaskPool):  # type: ignore[misc]
    """The pool that ``-P prefork``, the default, stands for."""

    Pool = Pool
