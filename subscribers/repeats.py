"""A filter for what comes more than once: at least once is what is promised, and so sometimes twice."""

from collections.abc import Callable, Hashable

from jobs.model.event import Event

MOST_REMEMBERED = 10_000


class Recent:
    """The last things that were added, up to a number."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._things: dict[Hashable, None] = {}

    def __contains__(self, thing: Hashable) -> bool:
        return thing in self._things

    def __len__(self) -> int:
        return len(self._things)

    def add(self, thing: Hashable) -> None:
        self._things.pop(thing, None)
        self._things[thing] = None
        if len(self._things) > self._most:
            del self._things[next(iter(self._things))]


def without_repeats(handler: Callable[[Event], None], remember: int = MOST_REMEMBERED) -> Callable[[Event], None]:
    """A handler that leaves out events which ``handler`` has handled, by their id; also a decorator.

    It knows the last ``remember`` events of this process, no more: against repeats after a process has died, keep the
    event's id with what the handler writes. An event on which the handler failed is not left out.
    """
    handled = Recent(remember)

    def handle(event: Event) -> None:
        if event.id in handled:
            return
        handler(event)
        handled.add(event.id)

    return handle
