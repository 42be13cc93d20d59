"""The event loop is told once of a descriptor, and again of whatever has changed."""

from collections.abc import Callable
from typing import Any

from jobs.messages.told_once import ToldOnce


class Loop:
    def __init__(self) -> None:
        self.readers: dict[int, Any] = {}
        self.told = 0

    def add_reader(self, descriptor: int, callback: Callable[..., Any], *args: Any) -> None:
        self.told += 1
        self.readers[descriptor] = callback, args

    def remove(self, descriptor: int) -> None:
        del self.readers[descriptor]


def test_it_is_told_of_the_same_only_once() -> None:
    loop = Loop()
    once = ToldOnce(loop)
    for _ in range(3):
        once.add_reader(5, print, 5)
    assert (loop.told, loop.readers) == (1, {5: (print, (5,))})


def test_it_is_told_of_another_callback_and_after_a_removal() -> None:
    loop = Loop()
    once = ToldOnce(loop)
    once.add_reader(5, print, 5)
    once.add_reader(5, repr, 5)
    assert loop.readers == {5: (repr, (5,))}
    once.remove(5)
    once.add_reader(5, repr, 5)
    assert (loop.told, loop.readers) == (3, {5: (repr, (5,))})
