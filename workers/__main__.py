"""``python -m workers``: a Celery worker with every queue; options of ``celery worker`` pass through."""

import sys

from workers.main import app


def main(options: list[str]) -> None:
    """Run a worker until it is told to stop."""
    app.worker_main(["worker", *options])


if __name__ == "__main__":
    main(sys.argv[1:])
