"""A message as it was fetched, its body decoded without reading the same JSON again: all jobs have one and the same."""

import pickle
from functools import lru_cache
from typing import Any

from kombu.serialization import loads
from kombu.transport import virtual

JSON = "application/json"
REMEMBERED = 512
"""Bytes of a body, up to which it is remembered what is in it."""


class Message(virtual.Message):
    """kombu's; ``payload`` is its own in each, for Celery may change it."""

    def decode(self) -> Any:
        known = self.content_type == JSON and len(self.body) <= REMEMBERED
        if known and not self._decoded_cache and (self.accept is None or JSON in self.accept):
            pickled = _decoded(self.body, self.content_encoding)
            self._decoded_cache: Any = pickle.loads(pickled)  # noqa: S301  this process has pickled it
        return super().decode()  # type: ignore[no-untyped-call]


@lru_cache(maxsize=256)
def _decoded(body: bytes, encoding: str) -> bytes:
    return pickle.dumps(loads(body, JSON, encoding), protocol=pickle.HIGHEST_PROTOCOL)
