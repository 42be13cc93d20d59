"""What is done again and again can be stopped, with gevent's timer too."""

import gevent
import pytest
from celery.concurrency.gevent import Timer
from gevent.event import Event

from workers.repeating import Repeating

PAUSE = 0.01


def test_it_is_called_until_it_is_stopped() -> None:
    calls: list[None] = []
    repeating = Repeating(Timer(), lambda: PAUSE, lambda: calls.append(None))
    with gevent.Timeout(5):
        while len(calls) < 3:
            gevent.sleep(PAUSE)
    repeating.stop()
    so_far = len(calls)
    gevent.sleep(10 * PAUSE)
    assert len(calls) == so_far


def test_a_call_that_stops_it_is_the_last() -> None:
    calls: list[Repeating] = []
    repeating = Repeating(Timer(), lambda: PAUSE, lambda: (calls.append(repeating), repeating.stop()))
    with gevent.Timeout(5):
        while not calls:
            gevent.sleep(PAUSE)
    gevent.sleep(10 * PAUSE)
    assert len(calls) == 1


def test_it_may_be_stopped_during_a_call_which_goes_on() -> None:
    began, may_end, ended = Event(), Event(), Event()
    calls: list[None] = []

    def call() -> None:
        calls.append(None)
        began.set()
        may_end.wait()
        ended.set()

    repeating = Repeating(Timer(), lambda: PAUSE, call)
    with gevent.Timeout(5):
        began.wait()
        repeating.stop()
        may_end.set()
        ended.wait()
    gevent.sleep(10 * PAUSE)
    assert len(calls) == 1


@pytest.mark.parametrize("error", [ValueError, KeyError])
def test_an_error_is_not_the_end(error: type[Exception], capsys: pytest.CaptureFixture[str]) -> None:
    calls: list[None] = []

    def fail() -> None:
        calls.append(None)
        raise error

    repeating = Repeating(Timer(), lambda: PAUSE, fail)
    with gevent.Timeout(5):
        while len(calls) < 3:
            gevent.sleep(PAUSE)
    repeating.stop()
    assert error.__name__ in capsys.readouterr().err
