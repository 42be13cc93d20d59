"""Events without workers: what a test writes into the store itself."""

from collections.abc import Iterator
from contextlib import contextmanager

from jobs.connections.client import connect
from jobs.model.submission import Submission
from jobs.settings import Settings
from jobs.store.job_store import JobStore


@contextmanager
def store_of(settings: Settings) -> Iterator[JobStore]:
    """A store of this process's own; no Celery app, which would become the one that other tests find."""
    with connect(settings.redis_url) as client:
        yield JobStore(client, settings)


def created(store: JobStore, owner: str, job_type: str = "t") -> str:
    """The id of a new job that nobody runs; its one event has the same and ``:1``."""
    job = Submission(type=job_type, owner=owner, parameters_json="{}", queue="nobody", max_attempts=2)
    assert store.submit(job, message=None).record is not None
    return job.id


def told_at_length(store: JobStore, owner: str, times: int, length: int = 2_000) -> list[str]:
    """The ids of that many events of progress of one job, after its first two; ``length`` is in characters."""
    job_id = created(store, owner)
    claim = store.claim(job_id)
    for percent in range(times):
        store.progress(claim, f'{{"percent":{percent},"message":"{"x" * length}"}}')
    return [f"{job_id}:{sequence}" for sequence in range(1, times + 3)]
