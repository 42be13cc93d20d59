"""The Celery task behind every job type: claim, run, and let the backend store what came out."""

import json
import logging
from typing import Any, ClassVar

from celery import Task
from celery.exceptions import Ignore
from marshmallow import ValidationError

from jobs.errors import InvalidTransition, JobError, JobNotFound, Superseded
from jobs.store import Claim
from workers.job import RunningJob
from workers.job_type import JobType

log = logging.getLogger(__name__)


class JobTask(Task):  # type: ignore[misc]
    """Runs one job type. The parameters come from the job's record, with the claim, not from the message."""

    abstract = True
    track_started = False
    """The claim records the start; Celery need not."""
    job_type: ClassVar[JobType]

    def run(self, *_args: Any, **_kwargs: Any) -> Any:
        """One attempt. What it returns or raises becomes the job's end through the result backend."""
        claim = self._claim()
        self.request.claim = claim
        log.info("job %s (%s): attempt %d of %d", claim.job_id, claim.type, claim.attempt, claim.max_attempts)
        try:
            return self.job_type(RunningJob(self.backend.store, claim), **self._load(claim))
        except Superseded as stopped:
            log.info("job %s: %s", claim.job_id, stopped)
            raise Ignore(str(stopped)) from stopped

    def _claim(self) -> Claim:
        job_id = self.request.id
        try:
            claim: Claim = self.backend.claim(job_id, getattr(self.request, "owner", None))
            return claim
        except (JobNotFound, InvalidTransition) as refused:
            log.warning("job %s is not run: %s", job_id, refused)
            raise Ignore(str(refused)) from refused

    def _load(self, claim: Claim) -> dict[str, Any]:
        try:
            return self.job_type.load(json.loads(claim.parameters_json))
        except ValidationError as error:
            messages = json.dumps(error.messages, ensure_ascii=False)
            raise JobError(f"The parameters are not valid: {messages}", error_type="invalid-parameters") from error
