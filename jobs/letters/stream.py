"""Letters: what could not be delivered lies in a stream, with the reason, until a person has looked at it."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

from redis.exceptions import ResponseError

from jobs.errors import DeadLetterNotFound

PAGE = 50
"""Letters that are read at once: a dead letter may hold the text of a message of 100 kB."""


class Letter(Protocol):
    """One of them; ``id`` is its entry's."""

    @property
    def id(self) -> str: ...

    @classmethod
    def from_redis(cls, entry_id: str, fields: Mapping[str, str]) -> Self:
        """Build it from an entry of the stream."""
        ...


L = TypeVar("L", bound=Letter)


class Letters(Generic[L]):
    """One stream of letters. Raises redis-py's errors; wants a client that decodes answers."""

    key: ClassVar[str]

    def __init__(self, client: Any, kind: type[L]) -> None:
        self._client, self._kind = client, kind

    def __iter__(self) -> Iterator[L]:
        """All of them, oldest first."""
        start = "-"
        while entries := self._client.xrange(self.key, start, "+", count=PAGE):
            yield from (self._kind.from_redis(entry_id, fields) for entry_id, fields in entries)
            start = f"({entries[-1][0]}"

    def get(self, entry_id: str) -> L:
        """One of them.

        Raises:
            DeadLetterNotFound.
        """
        try:
            entries = self._client.xrange(self.key, entry_id, entry_id)
        except ResponseError as error:  # an id that is none
            raise DeadLetterNotFound(entry_id) from error
        if not entries or entries[0][0] != entry_id:
            raise DeadLetterNotFound(entry_id)
        return self._kind.from_redis(*entries[0])

    def put_back(self, letter: L) -> None:
        """Have it delivered after all, and forget the letter, in one step.

        Raises:
            DeadLetterNotFound: somebody else did so.
            DeadLetterIncomplete: what was kept is not the whole of it.
        """
        raise NotImplementedError

    def drop(self, letter: L) -> None:
        """Forget it.

        Raises:
            DeadLetterNotFound.
        """
        if not self._client.xdel(self.key, letter.id):
            raise DeadLetterNotFound(letter.id)

    def drop_all(self) -> int:
        """Forget all of them; how many there were."""
        with self._client.pipeline() as pipe:
            count, _ = pipe.xlen(self.key).delete(self.key).execute()
        return int(count)
