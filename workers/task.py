"""The Celery task behind every job type: claim, run, and let the backend store what came out.

Whatever the function raises leaves :meth:`JobTask.run` as a JobError of ours: Celery takes some exceptions for orders
(Ignore, Reject, SystemExit), and replaces those that cannot be pickled.
"""

import json
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar

from billiard.common import terminate_handler_fired
from celery import Task
from celery.exceptions import Ignore, Retry, WorkerShutdown, WorkerTerminate
from kombu.utils.compat import detect_environment
from marshmallow import ValidationError

from jobs.errors import InvalidTransition, JobError, JobNotFound, StoreRefused, Superseded
from jobs.model.claim import Claim, Place
from jobs.model.failure import failure_of
from workers.holder import holder
from workers.job_type import JobType
from workers.request import JobRequest, NotRunnable
from workers.running_job import RunningJob

log = logging.getLogger(__name__)


class JobTask(Task):  # type: ignore[misc]
    """Runs one job type. The parameters come from the job's record, with the claim, not from the message."""

    abstract = True
    Request = JobRequest
    track_started = False
    """The claim records the start; Celery need not."""
    job_type: ClassVar[JobType]
    set_aside: Callable[[Any, str, Callable[[], Any]], None]
    """Of the worker's main process: :meth:`workers.set_aside.SetAside.set_aside`."""

    def start_strategy(self, app: Any, consumer: Any, **options: Any) -> Any:
        self.set_aside = consumer.set_aside
        return super().start_strategy(app, consumer, **options)

    def run(self, *_args: Any, **_kwargs: Any) -> Any:
        """One attempt. What it returns or raises becomes the job's end, or its way back, through the result backend."""
        request = self.request
        claim = request.claim = self._claim(request)
        log.info("job %s (%s): attempt %d of %d", claim.id, claim.type, claim.attempt, claim.max_attempts)
        job = RunningJob(self.backend.store, claim)
        try:
            result = self.job_type(job, **self._load(claim))
            job.flush()
            return result
        except Superseded as stopped:
            log.info("job %s: %s", claim.id, stopped)
            raise Ignore(str(stopped)) from stopped
        except BaseException as error:
            if terminate_handler_fired():  # whatever its clean-up raised: the process was told to end
                raise SystemExit from error
            if _is_for_the_pool(error):
                raise
            with suppress(Exception):
                job.flush()
            raise self._ending(claim, failure_of(error, retryable=self.job_type.retries(error))) from error

    def _claim(self, request: Any) -> Claim:
        job_id = request.id
        try:
            claim: Claim = self.backend.claim(job_id, holder(), self._place(request))
            return claim
        except (JobNotFound, StoreRefused) as unusable:
            raise NotRunnable(f"job {job_id}: {unusable}") from unusable
        except InvalidTransition as refused:
            log.warning("job %s is not run: %s", job_id, refused)
            raise Ignore(str(refused)) from refused

    def _place(self, request: Any) -> Place | None:
        """Where the message says that the job stands; None when it does not, and the claim has to look."""
        told, owner = request.delivery_info or {}, getattr(request, "owner", None)
        queue, priority = told.get("routing_key"), told.get("priority")
        if owner is None or queue is None or priority is None:
            return None
        return Place(owner, self.name, queue, self.backend.queue.priority(priority))

    def _load(self, claim: Claim) -> dict[str, Any]:
        try:
            return self.job_type.load(json.loads(claim.parameters_json))
        except ValidationError as error:
            messages = json.dumps(error.messages, ensure_ascii=False)
            raise JobError(f"The parameters are not valid: {messages}", error_type="invalid-parameters") from error

    def _ending(self, claim: Claim, failure: JobError) -> Exception:
        """What ends the attempt: the failure, or Celery's Retry where the job may run again."""
        if not failure.retryable or claim.attempt >= claim.max_attempts:
            return failure
        self.request.retry_in = self.job_type.retry_delay(claim.attempt)
        log.info("job %s: %s; again in %.1f s", claim.id, failure, self.request.retry_in)
        again: Exception = Retry(exc=failure, when=self.request.retry_in)
        return again


def _is_for_the_pool(error: BaseException) -> bool:
    """Whether the function is ended from outside: its worker is told to end, or its greenlet is killed."""
    if isinstance(error, WorkerShutdown | WorkerTerminate):
        return True
    if isinstance(error, Exception) or detect_environment() != "gevent":
        return False
    from gevent import GreenletExit, Timeout  # only there: it takes long to import

    return isinstance(error, GreenletExit | Timeout)
