"""Everything that can go wrong, as one tree.

::

    JobsError
    ├── SettingsError                the environment holds a wrong or unknown setting
    ├── InvalidJob                   a submit that can never run
    │   ├── UnknownJobType           no worker announced that type
    │   └── InvalidParameters        the parameters break the type's schema
    ├── JobNotFound                  no such job, or it has been purged
    ├── BatchNotFound                no such batch, or its retention is over
    ├── WebhookNotFound              no such webhook
    ├── Conflict
    │   ├── InvalidTransition        the job's status does not allow the move
    │   ├── AttemptsUsedUp           the job has run as often as it may
    │   ├── NotRetryable             a plain Celery task cannot be run again by us
    │   ├── JobIdTaken               the chosen id belongs to a job with another body
    │   ├── IdempotencyKeyReused     the Idempotency-Key came before with another body
    │   └── TooManyWebhooks          there are as many webhooks as there may be
    ├── StoreUnavailable             Redis is down, hung or full
    │   ├── StoreRefused             Redis refuses: a key of ours holds something else
    │   └── QueueFull                too many jobs wait
    ├── NotPublished                 the broker, where that is another server, has not got a job's message yet
    ├── UnusableMessage              what lies in a queue is no message that a worker can run
    ├── DeadLetterNotFound           no such dead letter
    ├── DeadLetterIncomplete         it was not kept as it came, and cannot be put back
    ├── SubscriptionNotFound         no service of that name has subscribed durably
    ├── SubscriptionInUse            a process of the service lives
    ├── LeaseLost                    a durable subscriber was silent too long; others have what it had
    ├── GroupMissing                 Redis has lost the group of a durable subscriber
    ├── JobFailed                    raised by AsyncResult.get() for a Failed job
    ├── JobError                     raised by a job function: fail with this message
    └── Superseded                   raised inside a job function: stop, nothing you write counts any more
        ├── JobCancelled             the job was cancelled
        └── StaleAttempt             another attempt runs, or the job has ended
"""

from collections.abc import Sequence

from jobs.text import text_of


class JobsError(Exception):
    """Root of every error of ours."""


class SettingsError(JobsError):
    """One or more settings are wrong; ``problems`` holds one sentence for each."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(problems))


class InvalidJob(JobsError):
    """The submit can never run as it stands."""


class UnknownJobType(InvalidJob):
    def __init__(self, job_type: str, known: Sequence[str]) -> None:
        self.job_type, self.known = job_type, tuple(sorted(known))
        names = ", ".join(self.known) or "none: no worker has announced any"
        super().__init__(f"There is no job type {job_type[:100]!r}. Known types: {names}.")


class InvalidParameters(InvalidJob):
    """``errors`` holds one ``(json_pointer, message)`` for each broken rule."""

    def __init__(self, job_type: str, errors: Sequence[tuple[str, str]]) -> None:
        self.job_type, self.errors = job_type, tuple(errors)
        super().__init__(f"The parameters do not fit the schema of {job_type!r}.")


class JobNotFound(JobsError):
    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        super().__init__("There is no job with this id: it was never submitted here, or has been purged.")


class BatchNotFound(JobsError):
    """No batch has this id: it never existed, or its retention is over."""

    def __init__(self, batch_id: str) -> None:
        super().__init__(f"There is no batch {batch_id}.")


class WebhookNotFound(JobsError):
    def __init__(self, webhook_id: str) -> None:
        self.webhook_id = webhook_id
        super().__init__("There is no webhook with this id: it was never added here, or has been removed.")


class Conflict(JobsError):
    """The present state of what is stored does not allow what was asked."""


class InvalidTransition(Conflict):
    def __init__(self, job_id: str, current: str, wanted: str) -> None:
        self.job_id, self.current, self.wanted = job_id, current, wanted
        super().__init__(f"Job {job_id} is {current}: it cannot be {wanted}.")


class AttemptsUsedUp(Conflict):
    def __init__(self, job_id: str, attempt: int) -> None:
        self.job_id, self.attempt = job_id, attempt
        super().__init__(f"Job {job_id} has had all its attempts ({attempt}).")


class NotRetryable(Conflict):
    def __init__(self, job_id: str, task: str) -> None:
        super().__init__(
            f"Job {job_id} is a plain Celery task: only who sent {task} has its arguments to send it again."
        )


class JobIdTaken(Conflict):
    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        super().__init__(f"Job {job_id} was submitted before with another body.")


class IdempotencyKeyReused(Conflict):
    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was used before with another body.")


class TooManyWebhooks(Conflict):
    def __init__(self, most: int) -> None:
        self.most = most
        super().__init__(f"There are {most} webhooks, which is as many as there may be: remove one.")


class StoreUnavailable(JobsError):
    """Redis cannot be used; nothing was stored. ``retry_after`` is in whole seconds."""

    def __init__(self, reason: str, retry_after: int = 1) -> None:
        self.reason, self.retry_after = reason, retry_after
        super().__init__(f"No job can be accepted or read now: {reason}. Nothing was stored; try again.")


class StoreRefused(StoreUnavailable):
    """Redis lives and refuses, and will do so again until a person has looked: it is not tried again by itself."""

    def __init__(self, refusal: str) -> None:
        self.refusal = refusal
        super().__init__(f"what is stored in Redis is not as it must be ({refusal})", retry_after=30)


class QueueFull(StoreUnavailable):
    """``waiting`` jobs are New, which is as many as may be."""

    def __init__(self, waiting: int, retry_after: int = 1) -> None:
        self.waiting = waiting
        super().__init__(f"{waiting} jobs wait already", retry_after)


class NotPublished(JobsError):
    """The job is accepted all the same: a reconciler hands its message over later.

    ``by_queue``: it is the queue that takes none now, and it would take no other.
    """

    def __init__(self, job_id: str, reason: str, *, by_queue: bool = False) -> None:
        self.job_id, self.reason, self.by_queue = job_id, reason, by_queue
        super().__init__(f"The message of job {job_id} is not with the broker yet: {reason}.")


class UnusableMessage(JobsError):
    """Its text is the reason, for a person."""


class DeadLetterNotFound(JobsError):
    def __init__(self, entry_id: str) -> None:
        self.entry_id = entry_id
        super().__init__(f"There is no dead letter {entry_id}.")


class DeadLetterIncomplete(JobsError):
    """``note`` says what was kept."""

    def __init__(self, entry_id: str, note: str) -> None:
        self.entry_id, self.note = entry_id, note
        super().__init__(
            f"The dead letter {entry_id} cannot be put back, for it is not what was to be delivered: {note}."
        )


class SubscriptionNotFound(JobsError):
    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"There is no durable subscription {name}.")


class SubscriptionInUse(JobsError):
    """``consumers`` processes of it live."""

    def __init__(self, name: str, consumers: int) -> None:
        self.name, self.consumers = name, consumers
        super().__init__(f"{consumers} processes of the subscription {name} live: stop them first.")


class LeaseLost(JobsError):
    def __init__(self, consumer: str) -> None:
        self.consumer = consumer
        super().__init__(f"The consumer {consumer} was silent for longer than its lease; others have what it had.")


class GroupMissing(JobsError):
    def __init__(self, group: str, stream: str) -> None:
        self.group, self.stream = group, stream
        super().__init__(f"There is no group {group} on {stream}.")


class JobFailed(JobsError):
    """What ``AsyncResult.get()`` raises for a Failed job: the job's own error, not its Python class."""

    def __init__(self, error_type: str, message: str) -> None:
        self.error_type, self.message = error_type, message
        super().__init__(f"{error_type}: {message}")


class JobError(JobsError):
    """Raise this in a job function to fail the job with a message meant for the caller: text, or what ``str`` takes."""

    def __init__(self, message: object, *, retryable: bool = False, error_type: object = None) -> None:
        self.message, self.retryable = text_of(message), bool(retryable)
        self.error_type = text_of(error_type or type(self).__name__)
        super().__init__(self.message)


class Superseded(JobsError):
    """The running attempt is no longer wanted; let it pass and the worker moves on."""


class JobCancelled(Superseded):
    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        super().__init__(f"Job {job_id} was cancelled.")


class StaleAttempt(Superseded):
    def __init__(self, job_id: str, attempt: int) -> None:
        self.job_id, self.attempt = job_id, attempt
        super().__init__(f"Attempt {attempt} of job {job_id} has been replaced or its job has ended.")
