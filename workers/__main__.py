"""``python -m workers``: a Celery worker with every queue; options of ``celery worker`` pass through."""

import sys

from celery import maybe_patch_concurrency


def main(options: list[str]) -> None:
    """Run a worker until it is told to stop."""
    maybe_patch_concurrency(["celery", "worker", *options])  # a pool of gevent wants that before all other imports
    from click import UsageError

    from workers.main import app

    try:
        app.worker_main(["worker", *options])
    except UsageError as error:
        sys.stderr.write(f"joborchestrator: python -m workers: {error.format_message()}\n")
        raise SystemExit(2) from None


if __name__ == "__main__":
    main(sys.argv[1:])
