"""What a channel keeps of the messages that it has fetched, until they are acknowledged."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from kombu.transport import redis, virtual
from redis.exceptions import ResponseError

log = logging.getLogger(__name__)


class QoS(redis.QoS):
    """Keeps the messages of jobs in memory; notes others in one plain round trip, where kombu takes a transaction."""

    def can_consume(self) -> bool:
        """A fetch that is under way is read, also when there is less room by now: what it took would wait unseen."""
        return bool(super().can_consume() or self.channel._in_poll)  # type: ignore[no-untyped-call]

    def append(self, message: Any, delivery_tag: str) -> None:
        if _is_of_job(message) or not _done("note a message", super().append, message, delivery_tag):
            virtual.QoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        if self._of_job(delivery_tag) is not None or not _done("acknowledge a message", super().ack, delivery_tag):
            virtual.QoS.ack(self, delivery_tag)
        self.channel.fetch_again()

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        if self._of_job(delivery_tag) is not None:
            if requeue:
                self.restore_by_tag(delivery_tag, leftmost=True)
            virtual.QoS.ack(self, delivery_tag)
        elif not _done("reject a message", super().reject, delivery_tag, requeue):
            virtual.QoS.ack(self, delivery_tag)
        self.channel.fetch_again()

    def restore_by_tag(self, tag: str, client: Any = None, leftmost: bool = False) -> None:
        message = self._of_job(tag)
        if message is None:
            self._restore_noted(tag, client, leftmost)
            return
        told = message.delivery_info
        with self.channel.conn_or_acquire(client) as connected:
            self.channel._do_restore_message(message._raw, told["exchange"], told["routing_key"], connected, leftmost)

    def _restore_noted(self, tag: str, client: Any, leftmost: bool) -> None:
        try:
            super().restore_by_tag(tag, client, leftmost)  # type: ignore[no-untyped-call]
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            with self.channel.conn_or_acquire(client) as connected:
                raw = connected.hget(self.unacked_key, tag)
            self.channel.set_aside(f"it was noted as fetched, and is no message: {error}", self.unacked_key, raw or b"")
            self._remove_from_indices(tag).execute()  # type: ignore[no-untyped-call]

    def restore_visible(self, *args: Any, **options: Any) -> None:
        _done("look for messages that nobody acknowledged", super().restore_visible, *args, **options)

    def _of_job(self, delivery_tag: str) -> Any:
        message = self._delivered.get(delivery_tag)
        return message if message is not None and _is_of_job(message) else None

    @contextmanager
    def pipe_or_acquire(self, pipe: Any = None, client: Any = None) -> Iterator[Any]:
        if pipe:
            yield pipe
        else:
            with self.channel.conn_or_acquire(client) as connected:
                yield connected.pipeline(transaction=False)


def _done(what: str, act: Callable[..., Any], *args: Any, **options: Any) -> bool:
    """Whether Redis did it; a refusal (a key of another type, a full memory) ends no worker."""
    try:
        act(*args, **options)
    except ResponseError as error:
        log.error("Redis refuses to %s: %s", what, error)
        return False
    return True


def _is_of_job(message: Any) -> bool:
    """Only the messages that ``queue.py`` builds name an owner."""
    return "owner" in message.headers
