"""``python -m workers``: a Celery worker with every queue; options of ``celery worker`` pass through."""

import os
import sys

from celery import maybe_patch_concurrency

from jobs.collecting import no_collection


def main(options: list[str]) -> None:
    """Run a worker until it is told to stop."""
    maybe_patch_concurrency(["celery", "worker", *options])  # a pool of gevent wants that before all other imports
    with no_collection():
        # The command by itself: all of `celery` imports Flower too, a fifth of the time that a worker takes to start.
        from celery.bin.base import CLIContext
        from celery.bin.worker import worker
        from click import UsageError
    from workers.main import app

    context = CLIContext(app, no_color=bool(os.environ.get("NO_COLOR")), workdir=None)
    try:
        worker.main(options, "python -m workers", obj=context, standalone_mode=False)
    except UsageError as error:
        sys.stderr.write(f"joborchestrator: python -m workers: {error.format_message()}\n")
        raise SystemExit(2) from None


if __name__ == "__main__":
    main(sys.argv[1:])
