"""What a job function is handed: the one job it runs, and how to say how far it is."""

from typing import Protocol


class Job(Protocol):
    """The running job as its function sees it."""

    @property
    def id(self) -> str:
        """The job's id, in our API, in Flower and in the logs."""

    @property
    def owner(self) -> str: ...

    @property
    def attempt(self) -> int:
        """1 for the first run. A job may start more than once: make the work idempotent per (id, attempt)."""

    def progress(self, current: float, total: float | None = None, message: str | None = None) -> None:
        """Report how far the work is: ``current`` of ``total``, in whatever unit. While Redis is away it is not told.

        Raises:
            Superseded: the job was cancelled or is run by somebody else; let it pass.
        """

    def raise_if_cancelled(self) -> None:
        """Raise Superseded when the work is no longer wanted."""
