"""The names of everything we keep in Redis."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from jobs.model.status import Status

EVERYBODY = "*"
"""In place of an owner: the jobs of all."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Every key and channel that we name, in one place.

    A script makes a key itself where only it knows the id, which it reads in Redis. Most such scripts are given the
    prefix in KEYS (``KEYS.record("")``). Three have no place there, and say here what they make of
    ``jobs:job:<id>`` in KEYS[1], by cutting the job's id off, or by adding to it:

    - ``in_batch.lua``: ``jobs:job:<batch id>`` and ``jobs:job:<batch id>:jobs``. Which batch a job is of stands in its
      record, and whoever moves a job has not read that.
    - ``accept.lua``: ``jobs:job:<id>`` of the job that an idempotency key stands for; with ``delete.lua``,
      ``jobs:job:<id>:deleted``.

    =========================================  ========  ==================================================
    key                                        type      what, and how long it is kept
    =========================================  ========  ==================================================
    ``jobs:job:<id>``                          hash      the record; ``JOBS_RETENTION`` after the final status
    ``jobs:job:<batch id>``                    hash      the record of a batch: how many of its jobs are in which
                                                         status; ``JOBS_RETENTION`` after the last has ended
    ``jobs:job:<batch id>:jobs``               list      the ids of its jobs; the same
    ``jobs:job:<id>:deleted``                  string    the ``sequence`` of a deleted job; ``JOBS_RETENTION``
    ``jobs:index:owner:<owner>``               zset      the ids of one owner, by creation time (microseconds)
    ``jobs:index:status:<status>``             zset      the same, of one status; every id is in one of these, and moved
                                                         by each transition
    ``jobs:index:type:<type>``                 zset      the same, of one job type
    ``jobs:index:tag:<name>=<value>``          zset      the same, of one tag
    ``jobs:idempotency:<owner>:<sha256>``      string    ``<id> <fingerprint>``; ``JOBS_IDEMPOTENCY_TTL``
    ``jobs:stream``                            stream    every event; about ``JOBS_STREAM_LENGTH``, more while a
                                                         living group needs more, up to ``JOBS_STREAM_HARD_LENGTH``
    ``jobs:stream:<owner>``                    stream    the events of one owner; the same
    ``jobs:types``                             hash      announced job types, as JSON
    ``jobs:types:seen``                        zset      when each was announced last (seconds)
    ``jobs:durations:<type>``                  hash      how long jobs took: a histogram (see ``durations``)
    ``jobs:waiting:<queue>``                   zset      whose message is in that queue, here or with RabbitMQ,
                                                         by when it came there
    ``jobs:scheduled``                         zset      New jobs that wait for their time, by that time
    ``jobs:leases``                            zset      running jobs, by when the lease of their worker ends
    ``jobs:fetched``                           zset      New jobs whose message a worker has, by when that ends
    ``jobs:expiry``                            zset      what to sweep of a final job, by when its record expires
    ``jobs:reconciler``                        string    which worker reconciles, since when
    ``jobs:counts``                            hash      ``finished``, ``stale_writes_refused``, ``dead_letters``
    ``jobs:dead``                              stream    dead letters; at most about 10,000
    ``jobs:subscriptions``                     hash      when a process of ``<owner or *>:<service>`` was seen last
                                                         (microseconds); until the subscription is dropped
    ``jobs:subscription:<owner or *>:<service>:…``       what a durable subscriber's group is kept with:
    ``…:consumers``                            zset      its processes, by when the lease of each ends
    ``…:held``                                 hash      jobs with events in hand: ``<consumer> <last entry>``
    ``…:attempts``                             hash      deliveries by entry: those that failed or whose process died
    ``…:gaps``                                 list      ``<after> <before> <number>``: lost to it, and not yet told;
                                                         these four ``JOBS_RETENTION`` after a process was seen last
    ``…:dead``                                 stream    its dead letters; at most about 10,000
    ``jobs:not-a-queue:<queue>``               any       what stood in place of a queue; a week
    ``jobs:webhooks``                          zset      the ids of standing webhooks, by when they were added
    ``jobs:webhook:<id>``                      hash      one of them, until it is removed
    ``jobs:webhooks:<owner or *>:<event>``     set       the ids of those that want such an event
    ``jobs:callback:<id>``                     string    the callback of a deleted job; ``JOBS_RETENTION``
    ``jobs:callback-gone:<id>``                string    the job's callback answered 410, when; a week
    ``jobs:delivery:<event id> <target>``      hash      an event to be told; an hour after it was, or was given up
    ``jobs:deliveries``                        zset      hosts, by when the first of their deliveries is due
    ``jobs:deliveries:to:<host>``              zset      the deliveries to a host, by when they are due
    ``jobs:deliveries:dead``                   stream    deliveries given up; at most about 10,000
    ``<queue>``                                list      Celery's messages
    =========================================  ========  ==================================================

    Channels: ``jobs.events.<owner>.<event>`` carries every event, ``jobs.reply.<process>`` wakes waiters.
    """

    stream: str = "jobs:stream"
    types: str = "jobs:types"
    types_seen: str = "jobs:types:seen"
    scheduled: str = "jobs:scheduled"
    leases: str = "jobs:leases"
    fetched: str = "jobs:fetched"
    expiry: str = "jobs:expiry"
    reconciler: str = "jobs:reconciler"
    counts: str = "jobs:counts"
    dead: str = "jobs:dead"
    webhooks: str = "jobs:webhooks"
    deliveries: str = "jobs:deliveries"
    deliveries_dead: str = "jobs:deliveries:dead"
    subscriptions: str = "jobs:subscriptions"
    index_of_tag_prefix: str = "jobs:index:tag:"

    def record(self, job_id: str) -> str:
        return f"jobs:job:{job_id}"

    def jobs_of(self, batch_id: str) -> str:
        return f"{self.record(batch_id)}:jobs"

    def index_of_owner(self, owner: str) -> str:
        return f"jobs:index:owner:{owner}"

    def index_of_status(self, status: Status | Literal[""]) -> str:
        return f"jobs:index:status:{status}"

    def index_of_type(self, job_type: str) -> str:
        return f"jobs:index:type:{job_type}"

    def index_of_tag(self, name: str, value: str) -> str:
        return f"{self.index_of_tag_prefix}{name}={value}"

    def idempotency(self, owner: str, key: str) -> str:
        return f"jobs:idempotency:{owner}:{sha256(key.encode()).hexdigest()}"

    def stream_of(self, owner: str) -> str:
        return f"jobs:stream:{owner}"

    def subscription(self, name: str, part: str) -> str:
        """``name`` is ``<owner or *>:<service>``."""
        return f"jobs:subscription:{name}:{part}"

    def waiting(self, queue_key: str) -> str:
        """Who waits in the list ``queue_key``: one queue and one priority."""
        return f"jobs:waiting:{queue_key}"

    def not_a_queue(self, queue_key: str) -> str:
        return f"jobs:not-a-queue:{queue_key}"

    def durations(self, job_type: str) -> str:
        return f"jobs:durations:{job_type}"

    def webhook(self, webhook_id: str) -> str:
        return f"jobs:webhook:{webhook_id}"

    def webhooks_wanting(self, owner: str, event: str) -> str:
        return f"jobs:webhooks:{owner}:{event}"

    def callback(self, job_id: str) -> str:
        """Where the callback of a deleted job is kept; else it is in the record."""
        return f"jobs:callback:{job_id}"

    def callback_gone(self, job_id: str) -> str:
        return f"jobs:callback-gone:{job_id}"

    def delivery(self, delivery_id: str) -> str:
        return f"jobs:delivery:{delivery_id}"

    def deliveries_to(self, host: str) -> str:
        return f"jobs:deliveries:to:{host}"

    def channel_prefix(self, owner: str) -> str:
        """What the channel of an owner's event starts with; the event's name follows."""
        return f"jobs.events.{owner}."

    def reply_channel(self, process: str) -> str:
        return f"jobs.reply.{process}"


KEYS = Keys()
