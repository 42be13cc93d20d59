"""What workers/fetch_ahead.py knows of kombu's semaphore."""

from kombu.asynchronous.semaphore import LaxBoundedSemaphore


def test_a_semaphore_keeps_those_who_wait_as_they_came() -> None:
    semaphore, called = LaxBoundedSemaphore(1), list[str]()
    for name in "abc":
        semaphore.acquire(called.append, name)
    assert list(semaphore._waiting) == [(called.append, ("b",), {}), (called.append, ("c",), {})]
    semaphore._waiting.pop()
    semaphore.release()
    semaphore.release()
    assert (called, semaphore.value) == (["a", "b"], 1)
