"""What one process of a durable subscriber has in hand: in order within each job, and no job behind another's retry."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heappop, heappush

from jobs.events.entry_id import order_of
from jobs.events.group import Entry


@dataclass(slots=True)
class Delivery:
    """An entry on its way to the handler."""

    entry: Entry
    attempts: int = 0
    """How often the handler was called with it, as far as is known."""
    is_suspect: bool = False
    """It failed before, or a process that had it died: from now on each attempt is counted before it is made."""
    reason: str | None = None
    """Why it is to be a dead letter, once that is so."""

    @property
    def order(self) -> tuple[int, int]:
        return order_of(self.entry.id)


class Backlog:
    """Deliveries by job. The first of a job is due, or waits for its retry; the others wait behind it."""

    def __init__(self) -> None:
        self._jobs: dict[bytes, deque[Delivery]] = {}
        self._ids: set[str] = set()
        self._due: list[tuple[tuple[int, int], bytes]] = []
        self._later: list[tuple[float, bytes]] = []

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, entry_id: str) -> bool:
        return entry_id in self._ids

    @property
    def ready(self) -> int:
        """How many do not wait for a retry, be it that of another."""
        return len(self._ids) - sum(len(self._jobs[job]) for _, job in self._later)

    @property
    def first_id(self) -> str | None:
        """The oldest of them."""
        return min(self._ids, key=order_of, default=None)

    def add(self, deliveries: Iterable[Delivery]) -> None:
        """Put new ones behind what there is of their jobs; those that are here already are left out."""
        for delivery in sorted(deliveries, key=lambda each: each.order):
            entry = delivery.entry
            if entry.id in self._ids:
                continue
            self._ids.add(entry.id)
            queue = self._jobs.setdefault(entry.job, deque())
            queue.append(delivery)
            if len(queue) == 1:
                heappush(self._due, (delivery.order, entry.job))

    def keep_only(self, ids: set[str]) -> None:
        """Forget those that others have now. A job whose first one goes has the next one due at once."""
        if self._ids <= ids:
            return
        waits = {job: (at, self._jobs[job][0]) for at, job in self._later}
        jobs = {job: deque(each for each in queue if each.entry.id in ids) for job, queue in self._jobs.items()}
        self.clear()
        for job, queue in jobs.items():
            if not queue:
                continue
            self._jobs[job] = queue
            self._ids.update(each.entry.id for each in queue)
            at, first = waits.get(job, (0.0, None))
            if first is queue[0]:
                heappush(self._later, (at, job))
            else:
                heappush(self._due, (queue[0].order, job))

    def clear(self) -> None:
        self._jobs, self._ids, self._due, self._later = {}, set(), [], []

    def due(self, now: float) -> Delivery | None:
        """The oldest delivery whose time has come; it stays until :meth:`done` or :meth:`retry`."""
        while self._later and self._later[0][0] <= now:
            _, job = heappop(self._later)
            heappush(self._due, (self._jobs[job][0].order, job))
        return self._jobs[self._due[0][1]][0] if self._due else None

    @property
    def next_retry(self) -> float | None:
        """When the next one that waits is due."""
        return self._later[0][0] if self._later else None

    def done(self, delivery: Delivery) -> None:
        """The one that is due was handled, or is a dead letter: the next of its job is due."""
        job = self._leaves(delivery)
        queue = self._jobs[job]
        self._ids.discard(queue.popleft().entry.id)
        if queue:
            heappush(self._due, (queue[0].order, job))
        else:
            del self._jobs[job]

    def retry(self, delivery: Delivery, at: float) -> None:
        """The one that is due is due again at ``at``, on the clock that :meth:`due` is asked with."""
        heappush(self._later, (at, self._leaves(delivery)))

    def _leaves(self, delivery: Delivery) -> bytes:
        order, job = heappop(self._due)
        assert order == delivery.order, "only what is due can be done"
        return job
