"""A worker's right to run an attempt of a job, and where in our keys the job stands."""

from dataclasses import dataclass

from jobs.model.priority import queue_key
from jobs.model.record import Record


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's right to run one attempt of a job."""

    id: str
    attempt: int
    parameters_json: str
    type: str
    owner: str
    queue: str
    priority: int
    max_attempts: int
    nonce: str = ""
    """Names the call that made the claim."""

    @property
    def token(self) -> str:
        """The fencing token of every later write: of this attempt, and not of one of another job with the same id."""
        return f"{self.attempt}:{self.nonce}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a job stands in our keys; its message tells a worker, so that a claim need not look."""

    owner: str
    type: str
    queue: str
    priority: int

    @property
    def queue_key(self) -> str:
        return queue_key(self.queue, self.priority)

    @classmethod
    def of(cls, job: "Claim | Record") -> "Place":
        return cls(job.owner, job.type, job.queue, job.priority)
