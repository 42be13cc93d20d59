"""The pool of processes: a job goes straight into an idle process, and whatever that spares Celery stays true."""

import operator
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from billiard.exceptions import SoftTimeLimitExceeded, TimeLimitExceeded, WorkerLostError
from billiard.pool import ACK, READY
from celery.concurrency.asynpool import SCHED_STRATEGY_FCFS
from kombu.asynchronous import Hub
from support.eventually import eventually
from support.timing import assert_takes

from workers.prefork import HANDED_OVER, SOON, Outbox, Pool, packed

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),  # of Python 3.12; no thread of ours runs here
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # a pool collects others' garbage
]

LONG = "x" * 10_000
"""More than one atomic write to a pipe."""


class Running:
    """A pool and its event loop, which turns only while something is waited for."""

    def __init__(self, processes: int, **options: Any) -> None:
        self.hub = Hub()
        self.pool = Pool(processes, threads=False, enable_timeouts=True, **options)
        self.pool.register_with_event_loop(self.hub)
        self.until(lambda: len(self.pool._fileno_to_inq) == processes)

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self.pool._pool]

    def turn(self) -> None:
        self.hub.call_soon(int)  # else it waits for up to a second
        self.hub.run_once()

    def until(self, check: Callable[[], object]) -> None:
        def after_a_turn() -> object:
            self.turn()
            return check()

        eventually(after_a_turn, within=15)

    def run(self, function: Callable[..., Any], *args: Any, **options: Any) -> "Told":
        told = Told()
        told.outcome = self.pool.apply_async(
            function,
            args,
            accept_callback=told.on_accepted,
            callback=told.results.append,
            error_callback=told.errors.append,
            timeout_callback=told.on_timeout,
            **options,
        )
        return told

    @property
    def limits(self) -> int:
        """Time limits that are still to be watched."""
        entries = (scheduled.entry for scheduled in self.hub.timer.queue)
        return sum(entry.fun == self.pool._on_hard_timeout and not entry.canceled for entry in entries)


class Told:
    """What Celery's request of a job is told."""

    def __init__(self) -> None:
        self.worker_pid: int | None = None
        self.time_start: float | None = None
        self.accepted_by: list[int] = []
        self.results: list[Any] = []
        self.errors: list[Any] = []
        self.timeouts: list[bool] = []
        self.outcome: Any = None

    def on_accepted(self, pid: int, time_accepted: float) -> None:
        self.worker_pid, self.time_start = pid, time_accepted
        self.accepted_by.append(pid)

    def on_timeout(self, soft: bool, timeout: float) -> None:
        self.timeouts.append(soft)


def stubborn() -> None:
    """Goes on whatever it is told."""
    while True:
        with suppress(SoftTimeLimitExceeded):
            time.sleep(60)


@contextmanager
def running(processes: int = 1, **options: Any) -> Iterator[Running]:
    made = Running(processes, **options)
    try:
        yield made
    finally:
        for pid in made.pids:
            os.kill(pid, signal.SIGKILL)
        made.pool.terminate()
        made.hub.close()


def test_an_idle_process_has_its_job_at_once_and_says_only_what_came_of_it() -> None:
    with running() as one:
        told = one.run(os.getpid)
        assert told.accepted_by == one.pids  # before any turn of the event loop
        assert not one.pool.outbound_buffer
        one.until(told.outcome.ready)
        assert told.results == one.pids
        assert told.accepted_by == one.pids
        assert not one.pool._cache


def test_jobs_go_to_all_processes_that_are_idle() -> None:
    with running(2) as two:
        slow = [two.run(time.sleep, 0.3) for _ in range(2)]
        assert sorted(pid for told in slow for pid in told.accepted_by) == sorted(two.pids)
        two.until(lambda: all(told.outcome.ready() for told in slow))


def test_a_job_waits_while_every_process_is_busy() -> None:
    with running() as one:
        first, second = one.run(time.sleep, 0.3), one.run(os.getpid)
        assert (first.accepted_by, second.accepted_by) == (one.pids, [])
        one.until(second.outcome.ready)
        assert second.results == second.accepted_by == one.pids


def test_a_long_job_goes_celerys_way() -> None:
    with running() as one:
        told = one.run(len, LONG)
        assert not told.accepted_by
        one.until(told.outcome.ready)
        assert (told.results, told.accepted_by) == ([len(LONG)], one.pids)
        assert one.run(len, "short").accepted_by == one.pids


def test_a_long_result_comes_through() -> None:
    with running() as one:
        told = one.run(operator.mul, "x", len(LONG))
        one.until(told.outcome.ready)
        assert told.results == [LONG]


def test_nothing_is_handed_over_where_processes_are_given_jobs_in_advance() -> None:
    with running(sched_strategy=SCHED_STRATEGY_FCFS) as one:
        first, second = one.run(time.sleep, 0.3), one.run(os.getpid)
        assert not first.accepted_by
        one.until(second.outcome.ready)
        assert first.accepted_by == second.accepted_by == one.pids


def test_a_job_that_was_not_begun_when_its_process_died_goes_to_the_next_one() -> None:
    with running() as one:
        (died,) = one.pids
        os.kill(died, signal.SIGSTOP)
        told = one.run(os.getpid, timeout=SOON)
        assert (told.worker_pid, one.limits) == (died, 1)
        os.kill(died, signal.SIGKILL)
        one.until(lambda: one.pool.maintain_pool() or not told.outcome.accepted())  # else it may look after 5 s only
        assert (told.worker_pid, told.time_start, one.limits) == (None, None, 0)
        one.until(told.outcome.ready)
        assert told.results == one.pids != [died]
        assert told.accepted_by == [died, *one.pids]
        assert (told.errors, one.limits) == ([], 0)


def test_a_job_that_was_begun_is_lost_with_its_process() -> None:
    with running() as one:
        (died,) = one.pids
        one.until(one.run(os.getpid).outcome.ready)
        told = one.run(signal.raise_signal, signal.SIGKILL)
        one.until(told.outcome.ready)
        assert told.errors[0].type is WorkerLostError
        assert told.accepted_by == [died]


def test_a_process_that_ends_after_its_last_job_loses_none() -> None:
    with running(maxtasksperchild=1) as one:
        for _ in range(3):
            told = one.run(os.getpid)
            one.until(told.outcome.ready)
            assert told.errors == []
            assert told.results == told.accepted_by[-1:]


def test_a_job_past_its_time_limit_is_ended_with_its_process() -> None:
    with running() as one:
        (slow,) = one.pids
        told = one.run(time.sleep, 60, timeout=0.3)
        one.until(told.outcome.ready)
        assert told.errors[0].type is TimeLimitExceeded
        one.until(lambda: one.pids and one.pids != [slow])


def test_a_time_limit_that_is_far_away_is_kept_without_a_timer_for_each_job() -> None:
    with running() as one:
        timers = len(one.hub.timer.queue)
        for _ in range(20):
            one.until(one.run(os.getpid, soft_timeout=1800, timeout=3600).outcome.ready)
        assert len(one.hub.timer.queue) == timers


@pytest.mark.parametrize(
    ("limits", "error", "after"),
    [
        ({"timeout": SOON + 0.5}, TimeLimitExceeded, SOON + 0.5),
        ({"soft_timeout": SOON + 0.3, "timeout": 60}, SoftTimeLimitExceeded, SOON + 0.3),
        ({"soft_timeout": SOON + 0.3}, SoftTimeLimitExceeded, SOON + 0.3),
        ({"soft_timeout": 0.2}, SoftTimeLimitExceeded, 0.2),
    ],
)
def test_a_time_limit_is_kept_however_far_away_it_was(limits: dict[str, float], error: Any, after: float) -> None:
    with running() as one:

        def reach_it() -> None:
            told = one.run(time.sleep, 60, **limits)
            one.until(told.outcome.ready)
            assert told.errors[0].type is error

        assert_takes(reach_it, at_least=after, at_most=after + 1)
        assert one.limits == 0


def test_a_soft_limit_is_told_once_and_the_hard_one_still_holds() -> None:
    with running() as one:
        told = one.run(stubborn, soft_timeout=0.2, timeout=SOON + 1)
        one.until(told.outcome.ready)
        assert told.errors[0].type is TimeLimitExceeded
        assert told.timeouts == [True, False]


def test_the_kernel_is_told_of_no_descriptor_while_jobs_are_run() -> None:
    class Counting:
        def __init__(self, poller: Any) -> None:
            self._poller, self.told = poller, 0

        def register(self, *args: Any) -> Any:
            self.told += 1
            return self._poller.register(*args)

        def unregister(self, *args: Any) -> Any:
            self.told += 1
            return self._poller.unregister(*args)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._poller, name)

    with running(2) as two:
        counting = two.hub.poller = Counting(two.hub.poller)
        for _ in range(10):
            two.until(two.run(os.getpid).outcome.ready)
        assert counting.told == 0
        two.until(two.run(len, LONG).outcome.ready)
        assert counting.told


def test_the_beginning_of_a_job_that_was_handed_over_is_noted_and_not_said() -> None:
    class Noted:
        value = -1

    class Queue:
        def __init__(self) -> None:
            self.reader, self.writer = os.pipe()
            self.put_by_billiard: list[Any] = []
            self._writer = os.fdopen(self.writer, "wb")

        def put(self, message: Any) -> None:
            self.put_by_billiard.append(message)

    queue, begun = Queue(), Noted()
    outbox = Outbox(queue, begun)
    outbox.put((ACK, (7, HANDED_OVER, 0.0, 1, None)))
    assert (begun.value, queue.put_by_billiard) == (7, [])
    outbox.put((ACK, (8, None, 0.0, 1, None)))
    assert (begun.value, queue.put_by_billiard.pop()[1][0]) == (7, 8)
    ready = (READY, (7, HANDED_OVER, (True, 1), 3))
    outbox.put(ready)
    assert os.read(queue.reader, 1000) == packed(ready)
    outbox.put((READY, (7, HANDED_OVER, (True, LONG), 3)))
    assert queue.put_by_billiard.pop()[1][2] == (True, LONG)
    os.close(queue.reader)
    queue._writer.close()
