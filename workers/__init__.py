"""The Celery workers and the job types we ship. ``from workers import job`` is all that a job of yours needs."""

from workers.job import Job
from workers.job_type import job

__all__ = ["Job", "job"]
