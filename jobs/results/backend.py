"""The job store as Celery's result backend: storing a result is the job's transition, and nothing is stored twice.

STARTED is InProgress, SUCCESS is Completed, FAILURE is Failed, REVOKED is Cancelled. What the pool reports by itself
(a hard time limit, a lost child) arrives here too, and a plain Celery task has its life recorded without code of ours.
"""

import logging
from contextlib import suppress
from secrets import token_hex
from typing import Any

from billiard.exceptions import WorkerLostError
from celery import states

from jobs.connections.availability import is_away
from jobs.errors import (
    AttemptsUsedUp,
    InvalidTransition,
    JobError,
    JobNotFound,
    StoreRefused,
)
from jobs.letters.dead_letters import DeadLetters
from jobs.messages.queue import Queue
from jobs.model.claim import Claim, Place
from jobs.model.failure import error_of
from jobs.model.result_text import dump
from jobs.model.status import Status
from jobs.model.submission import Submission, can_be_told
from jobs.results.waiting_backend import WaitingBackend
from jobs.store.recovery import Recovery

log = logging.getLogger(__name__)

OWNER_OF_PLAIN_TASKS = "anonymous"


class JobBackend(WaitingBackend):
    """The result backend of every process: workers report to it what they do, and everybody asks it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.queue = Queue(self.app)
        self.recovery = Recovery(self.store, self.queue)

    def encode_result(self, result: Any, state: str) -> Any:
        """As it is: it becomes JSON together with the transition."""
        return result

    def exception_safe_to_retry(self, exc: Exception) -> bool:
        """A store that is away comes back: the worker holds its result until then."""
        return is_away(exc)

    def claim(self, job_id: str, holder: str, place: Place | None) -> Claim:
        """Start an attempt, however long the store is away: see :meth:`jobs.store.job_store.JobStore.claim`."""
        nonce = token_hex(4)
        try:
            claim: Claim = self._ensure_retryable(self.store.claim, job_id, holder, place, nonce)
        except InvalidTransition as refused:
            self._ensure_retryable(self._used_up, job_id, refused)  # Redis's clock was set back, say: it is not time
            raise
        return claim

    def set_aside(self, reason: str, message: Any) -> None:
        """Keep a message that no worker can run, of whichever broker; its job, if it has one, gets another.

        Raises:
            StoreUnavailable: Redis is away, and another broker has the message: it is to be tried again.
        """
        try:
            self.recovery.message_used_up(message.headers["id"])
        except Exception as error:
            if is_away(error):
                raise
            # it may name no job; the worker goes on, as it does without a letter
            log.warning("if a job has lost its message by that, nobody gives it another: %r", error)
        DeadLetters(self.store.client).set_aside_seen(reason, message)

    def _store_result(
        self, task_id: str, result: Any, state: str, traceback: Any = None, request: Any = None, **_: Any
    ) -> None:
        state, result = self._as_kept(state, result)
        try:
            self._move_or_adopt(task_id, result, state, request)
        except JobNotFound:
            log.warning("job %s has no record: its state %s is not recorded", task_id, state)
        except InvalidTransition as refused:
            log.warning("job %s: %s not recorded, it is %s", task_id, state, refused.current)
            self._used_up(task_id, refused)  # Redis came back without its claim, say
        except StoreRefused as refused:
            log.error("job %s: %s not recorded: %s", task_id, state, refused.refusal)

    def _used_up(self, job_id: str, refused: InvalidTransition) -> None:
        """The message of a job is acknowledged, and that job may be New."""
        if refused.current == Status.NEW:
            with suppress(StoreRefused):
                self.recovery.message_used_up(job_id)

    def _as_kept(self, state: str, result: Any) -> tuple[str, Any]:
        """A result as JSON text; when it cannot be kept, that is how the job ends."""
        if state != states.SUCCESS:
            return state, result
        try:
            text = dump(result)
            size, most = len(text.encode()), self.settings.max_result
            if size > most:
                raise JobError(f"The result has {size} bytes; at most {most} are kept.", error_type="result-too-large")
        except JobError as unusable:
            return states.FAILURE, unusable
        except MemoryError as unusable:
            return states.FAILURE, unusable.with_traceback(None)  # which holds what has been written
        return state, text

    def _move_or_adopt(self, task_id: str, result: Any, state: str, request: Any) -> None:
        try:
            self._move(task_id, result, state, request)
        except JobNotFound:
            if not _is_of_plain_task(request):
                raise
            if can_be_told(task_id) and can_be_told(request.task):
                self._adopt(task_id, request)
                self._move(task_id, result, state, request)
            elif state != states.STARTED:  # once is enough
                log.warning("task %a (%a) has no record: no event could hold such an id or name", task_id, request.task)

    def _move(self, job_id: str, result: Any, state: str, request: Any) -> None:
        claim: Claim | None = getattr(request, "claim", None)
        holder: str = getattr(request, "holder", "")  # told by a worker's main process, which knows no claim
        match state:
            case states.STARTED:
                self.store.claim(job_id)
            case states.SUCCESS:
                self.store.complete(job_id, result, claim)
            case states.RETRY if claim is not None:
                self._retry(claim, error_of(result), request.retry_in)
            case states.FAILURE if claim is None and isinstance(result, WorkerLostError):
                self.recovery.attempt_lost(job_id, holder, error_of(result))
            case states.FAILURE:
                self.store.fail(job_id, error_of(result), claim, holder)
            case states.REVOKED:
                self.store.cancel(job_id, holder=holder)

    def _retry(self, claim: Claim, error_json: str, delay: float) -> None:
        try:
            self.store.requeue(claim, self.queue.message(claim), delay=delay, error_json=error_json)
        except AttemptsUsedUp:
            self.store.fail(claim.id, error_json, claim)

    def _adopt(self, task_id: str, request: Any) -> None:
        """Give a plain Celery task, sent by somebody else, a record of its own."""
        try:
            parameters = dump(getattr(request, "kwargs", None) or {})
        except JobError as unusable:  # it runs with them all the same
            log.warning("task %s: its record has no parameters: %s", task_id, unusable)
            parameters = "{}"
        queue = (getattr(request, "delivery_info", None) or {}).get("routing_key") or "default"
        job = Submission(
            id=task_id,
            type=request.task,
            owner=OWNER_OF_PLAIN_TASKS,
            parameters_json=parameters,
            queue=queue,
            max_attempts=1,
            is_plain=True,
        )
        self.store.submit(job, message=None)


def _is_of_plain_task(request: Any) -> bool:
    """Whether it is one that we have not made ourselves, which has no record before its first transition."""
    return bool(getattr(request, "task", None)) and getattr(request, "owner", None) is None
