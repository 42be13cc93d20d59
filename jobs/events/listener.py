"""Somebody who listens to the feed of events: which ones are wanted, and those that wait to be taken."""

import queue
from collections.abc import Callable
from dataclasses import dataclass

from jobs.events.entries import Entry
from jobs.model.event import BATCH_COMPLETED, FINAL_EVENT_OF, Event

MOST_BEHIND = 1_000
"""Events that wait for a slow listener; with more it is cut off, and comes back with the last id it has seen."""
MOST_TEXT_BEHIND = 4_000_000
"""Characters of them; one event may wait however long it is."""
TAKEN_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Interest:
    """Which events: of one job, one batch, one owner, one type of jobs; what is not named does not matter."""

    job_id: str | None = None
    batch_id: str | None = None
    owner: str | None = None
    job_type: str | None = None
    known: int = 0
    """Number of the newest event that is known of that job or batch: an end before it was undone by a retry."""

    def covers(self, event: Event) -> bool:
        return (
            (self.job_id is None or event.job_id == self.job_id)
            and (self.batch_id is None or event.batch_id == self.batch_id)
            and (self.owner is None or event.owner == self.owner)
            and (self.job_type is None or event.job_type == self.job_type)
        )

    @property
    def about(self) -> str:
        """A text that every event holds that it covers; '' where there is none such."""
        return self.job_id or self.batch_id or ""

    def ends_with(self, event: Event) -> bool:
        """Whether nothing that it covers comes after this one: the end of the job, or of the batch."""
        if event.sequence < self.known:
            return False
        if self.job_id is not None:
            return event.name in FINAL_EVENT_OF.values()
        return self.batch_id is not None and event.name == BATCH_COMPLETED

    @property
    def shelf(self) -> tuple[str, str]:
        """The most selective thing that is named: see :func:`shelves`."""
        named = (("job", self.job_id), ("batch", self.batch_id), ("owner", self.owner), ("type", self.job_type))
        return next(((kind, value) for kind, value in named if value is not None), ("all", ""))


def shelves(event: Event) -> tuple[tuple[str, str], ...]:
    """Every shelf on which a listener can be that wants ``event``: the others need not be asked."""
    named = ("job", event.job_id), ("owner", event.owner), ("type", event.job_type), ("all", "")
    return named if event.batch_id is None else (("batch", event.batch_id), *named)


class Listener:
    """Closed by the feed when it is too slow or the process ends.

    Args:
        after: the id after which it is told of every event that it wants.
        cut: called once when it is too slow: whoever takes the events may be stuck and not look.
    """

    def __init__(self, interest: Interest, after: str, cut: Callable[[], None]) -> None:
        self.interest, self.after = interest, after
        self.is_closed = False
        self._cut = cut
        self._text = 0
        self._waiting: queue.SimpleQueue[Entry | None] = queue.SimpleQueue()

    def take(self, within: float) -> list[Entry]:
        """What has come, in order; nothing when nothing came ``within`` seconds, or the listener is closed."""
        taken: list[Entry] = []
        try:
            while len(taken) < TAKEN_AT_ONCE:
                entry = self._waiting.get_nowait() if taken else self._waiting.get(timeout=within)
                if entry is None:
                    break
                taken.append(entry)
                self._text -= len(entry.text)
        except queue.Empty:
            pass
        return taken

    def tell(self, entry: Entry) -> None:
        if self.is_closed:
            return
        if self._waiting.qsize() < MOST_BEHIND and self._text < MOST_TEXT_BEHIND:
            self._text += len(entry.text)
            self._waiting.put(entry)
        else:
            self.close()
            self._cut()

    def close(self) -> None:
        """What waits is dropped: it is in the stream, too."""
        self.is_closed = True
        dropped, self._waiting = self._waiting, queue.SimpleQueue()
        dropped.put(None)
        self._waiting.put(None)
