"""What is done for jobs that nobody works on: their process died, their message is gone, or their time has come."""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from jobs.connections.availability import available
from jobs.errors import AttemptsUsedUp, InvalidTransition, JobNotFound, NotPublished
from jobs.messages.queue import Queue
from jobs.model.failure import WORKER_LOST
from jobs.model.keys import KEYS
from jobs.model.priority import HIGHEST, queue_key
from jobs.model.record import Record
from jobs.model.status import RERUN_FROM, Status
from jobs.store.job_store import JobStore

log = logging.getLogger(__name__)

MOST_AT_ONCE = 200
"""Jobs of each kind that one survey names; the next one goes on with the rest."""
WINDOW = 1000
"""Messages at the head of a queue that a survey reads, once somebody there seems to have none."""
REFUSED_FOR = 5.0
"""Seconds after which another broker is asked again to take the message of a job that it has refused."""
NEVER_ASKED = float("-inf"), 0.0
LEADS_FOR_LEASES = 3
"""A leader that is silent for a third of a lease is replaced."""


class Recovery:
    """Every move that puts a job back into its queue."""

    def __init__(self, store: JobStore, queue: Queue) -> None:
        self._store, self._queue = store, queue
        self._marks: dict[str, tuple[float, float]] = {}
        """Of each key that says who waits in another broker's queue: when that was last asked for its length
        (monotonic), and since when the last one waits whose message was gone then (0: nobody's was)."""

    # --- one job

    def retry(self, record: Record, max_attempts: int) -> Record:
        """Run a Failed or Cancelled job again, because a person asks for it; the job as it stands right after.

        Raises:
            JobNotFound, InvalidTransition.
        """
        most = record.attempt + max_attempts
        self._store.requeue(record, self._queue.message(record), sources=RERUN_FROM, max_attempts=most)
        return record.as_new(most)

    def attempt_lost(self, job_id: str, holder: str, error_json: str = WORKER_LOST) -> None:
        """The process ``holder`` has died: what it ran goes back to the queue, or is Failed after its last attempt."""
        record = self._held(job_id, holder)
        if record is not None:
            self._give_up(record, error_json, holder=holder)
        else:
            self.message_used_up(job_id)  # it may have died before the claim

    def give_back(self, job_id: str, holder: str) -> None:
        """The process ``holder`` is about to be ended: its job goes back to the queue and loses no attempt by it."""
        record = self._held(job_id, holder)
        if record is not None:
            message, more = self._queue.message(record), record.max_attempts + 1
            with suppress(InvalidTransition, JobNotFound):
                self._store.requeue(record, message, holder=holder, max_attempts=more)
                log.info("job %s goes back to the queue", job_id)

    def message_used_up(self, job_id: str) -> None:
        """A message is acknowledged by which its job could not begin: if that is still New, it is to get another.

        Where the queue is in Redis a survey finds that by itself; of another broker's queue it only learns how many
        are left there. A plain task gets none: only who sent it has its arguments.
        """
        if not self._queue.is_outside:
            return
        with suppress(JobNotFound):
            record = self._store.get(job_id)
            if record.is_plain:
                return
            waiting = KEYS.waiting(queue_key(record.queue, record.priority))
            keys = [KEYS.record(job_id), KEYS.scheduled, waiting]
            self._store.call("hand_over_again", keys, [job_id, self._store.lease_micros])

    def _held(self, job_id: str, holder: str) -> Record | None:
        """The job, if that process runs it."""
        try:
            record = self._store.get(job_id)
        except JobNotFound:
            return None
        return record if record.status is Status.IN_PROGRESS and record.holder == holder else None

    def _give_up(self, record: Record, error_json: str, *, holder: str = "", only_expired: bool = False) -> None:
        message = self._queue.message(record)
        try:
            self._store.requeue(record, message, holder=holder, only_expired=only_expired, error_json=error_json)
            log.warning("job %s: attempt %d was lost; it runs again", record.id, record.attempt)
        except AttemptsUsedUp:
            with suppress(InvalidTransition, JobNotFound):
                self._store.fail(record.id, error_json, record, holder)
                log.warning("job %s: attempt %d was lost, its last: Failed", record.id, record.attempt)
        except (InvalidTransition, JobNotFound):
            log.info("job %s: attempt %d ended after all", record.id, record.attempt)

    # --- all jobs

    def renew(self, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], bool]:
        """Renew the leases of jobs by id and holder; a holder of '' has fetched the job and not started it.

        Returns those that have a holder and are no longer its own, and whether its process is to be ended.
        """
        lost: dict[tuple[str, str], bool] = {}
        for start in range(0, len(pairs), MOST_AT_ONCE):
            some = pairs[start : start + MOST_AT_ONCE]
            keys = [KEYS.leases, KEYS.fetched, *(KEYS.record(job_id) for job_id, _ in some)]
            arguments = [self._store.lease_micros, *(part for pair in some for part in pair)]
            reply = self._store.call("renew", keys, arguments)
            told = zip(reply[::3], reply[1::3], reply[2::3], strict=True)
            lost |= {(job_id, holder): force == "force" for job_id, holder, force in told}
        return lost

    def reconcile(self, token: str, queues: Iterable[str], grace: bool) -> bool | None:
        """Look once over all jobs, and help those that need it; whether there may be more. None: another worker leads.

        ``token`` names this worker: one leads, until it is silent for a third of a lease. With ``grace`` nothing is
        taken from anybody for one more lease: this worker could not look for a while, so others could not renew.
        """
        lists = {queue_key(queue, priority): queue for queue in queues for priority in range(HIGHEST + 1)}
        keys = [
            *(KEYS.reconciler, KEYS.leases, KEYS.scheduled),
            *(KEYS.index_of_status(Status.IN_PROGRESS), KEYS.fetched),
        ]
        lease = self._store.lease_micros
        reply = self._store.call(
            "survey",
            [*keys, *(key for name in lists for key in (name, KEYS.waiting(name)))],
            [token, lease // 1000 // LEADS_FOR_LEASES, MOST_AT_ONCE, lease, WINDOW, "grace" if grace else ""],
        )
        if not reply:
            return None
        expired, due, gone = reply
        for job_id, record in zip(expired, self._store.records(expired), strict=True):
            if record is not None:
                self._give_up(record, WORKER_LOST, only_expired=True)
            else:
                self._forget(job_id, KEYS.leases, KEYS.index_of_status(Status.IN_PROGRESS))
        moved = self._enqueue(dict.fromkeys(due, ("", KEYS.scheduled)), "its time has come")
        waiting = zip(gone[::3], gone[1::3], gone[2::3], strict=True)
        lost = {job_id: (since, where) for job_id, since, where in waiting}
        if self._queue.is_outside:
            queue_of = {KEYS.waiting(name): queue for name, queue in lists.items()}
            passed = self._passed({where: queue_of[where] for where in set(gone[2::3])})
            lost = {job_id: each for job_id, each in lost.items() if float(each[0]) <= passed.get(each[1], 0.0)}
        moved += self._enqueue(lost, "its message was gone")
        return len(expired) + moved >= MOST_AT_ONCE

    def _passed(self, places: Mapping[str, str]) -> dict[str, float]:
        """A time for each place: who has waited since then or longer had no message in its queue half a lease ago.

        The queue holds the messages of those who came last, and it is asked once a lease how many. What a worker had
        taken out, it has said to have fetched by now. ``places``: keys that say who waits, and the queue of each.
        """
        now, lease = time.monotonic(), self._store.lease_micros / 1e6
        asked = {each: queue for each, queue in places.items() if now > self._marks.get(each, NEVER_ASKED)[0] + lease}
        lengths = {queue: self._queue.length(queue) for queue in set(asked.values())}
        for place, queue in asked.items():
            self._marks[place] = time.monotonic(), self._first_outside(place, lengths[queue])
        return {place: since for place, (at, since) in self._marks.items() if now >= at + lease / 2}

    def _first_outside(self, place: str, length: int | None) -> float:
        """Since when the last of those waits who have no message among so many; 0 if all have, or nobody knows."""
        if length is None:
            return 0.0
        with available():
            found: list[tuple[str, float]] = self._store.client.zrevrange(place, length, length, withscores=True)
        return found[0][1] if found else 0.0

    def _enqueue(self, jobs: Mapping[str, tuple[str, str]], why: str) -> int:
        """Returns how many are done with.

        ``jobs``: since when each waits ('' for a scheduled one), and the key that says so.
        """
        moved = 0
        refusing: set[str] = set()
        for (job_id, (since, where)), record in zip(jobs.items(), self._store.records(list(jobs)), strict=True):
            if record is None:
                self._forget(job_id, where, KEYS.index_of_status(Status.NEW))
                moved += 1
                continue
            name = queue_key(record.queue, record.priority)
            if self._queue.is_outside and record.status is Status.NEW and not self._published(record, refusing):
                if not self._queue.is_away:  # then it is refused, and others may go
                    self._store.call("put_off", [where], [job_id, int(REFUSED_FOR * 1e6)])
                    moved += 1
                continue
            waiting = where if since else KEYS.waiting(name)
            keys = [KEYS.record(job_id), name, waiting, KEYS.scheduled, KEYS.fetched]
            arguments = [job_id, self._queue.message(record), since, self._store.lease_micros, record.sequence]
            if self._store.call("enqueue", keys, arguments):
                log.info("job %s: enqueued, %s", job_id, why)
            moved += 1
        return moved

    def _forget(self, job_id: str, *keys: str) -> None:
        """Its record is gone, or is none of ours any more: nobody can do anything for it."""
        log.error("job %s: its record is gone or damaged; it is not looked for again", job_id)
        with available():
            for key in keys:
                self._store.client.zrem(key, job_id)

    def _published(self, record: Record, refusing: set[str]) -> bool:
        """``refusing``: queues that have just refused a message, of whichever job, and are not asked again now."""
        if self._queue.is_away or record.queue in refusing:  # it is not asked, and the log has it
            return False
        try:
            self._queue.publish(record)
        except NotPublished as error:
            log.warning("%s", error)
            if error.by_queue:
                refusing.add(record.queue)
            return False
        return True

    def sweep(self, retention: float) -> bool:
        """Remove what is left of jobs whose time is over, and events that are too old or too many; is there more?"""
        keys = [
            KEYS.expiry,
            KEYS.stream,
            KEYS.record(""),
            KEYS.index_of_owner(""),
            KEYS.index_of_type(""),
            KEYS.index_of_status(""),
            KEYS.index_of_tag_prefix,
            KEYS.stream_of(""),
        ]
        swept = self._store.call("sweep", keys, [MOST_AT_ONCE, int(retention * 1e6), self._store.stream_limits])
        return int(swept) == MOST_AT_ONCE
