"""kombu's event loop, told once of each descriptor.

kombu and Celery tell it of the same descriptor again at every turn and after every message, and each time the kernel is
asked, and says that it knows: a system call and an exception.
"""

from collections.abc import Callable
from typing import Any


class ToldOnce:
    """Stands for ``loop``, for those who tell it only of descriptors that are open, and take back those they close."""

    def __init__(self, loop: Any) -> None:
        self._loop = loop

    def add_reader(self, descriptor: int, callback: Callable[..., Any], *args: Any) -> None:
        if self._loop.readers.get(descriptor) != (callback, args):
            self._loop.add_reader(descriptor, callback, *args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)
