"""A JSON document as bytes, written anew only when what it is made of has changed."""

from collections.abc import Callable
from typing import Any

import orjson


class Written:
    """One for each document."""

    def __init__(self) -> None:
        self._of: Any = None
        self._text = b""

    def text(self, of: Any, write: Callable[[], dict[str, Any]]) -> bytes:
        """What ``write`` gave when ``of``, which stands for all that it is made of, last changed."""
        if of != self._of or not self._text:
            self._of, self._text = of, orjson.dumps(write())
        return self._text
