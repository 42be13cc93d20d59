"""``python -m workers``: a Celery worker with every queue; options of ``celery worker`` pass through."""

import sys

from workers.main import app

NO_TASK_EVENTS = "--no-task-events"
"""The one option of our own: no events for Flower until a Flower asks for them, for a third more throughput."""


def main(options: list[str]) -> None:
    """Run a worker until it is told to stop. Events for Flower are on unless the options say otherwise."""
    events = [] if NO_TASK_EVENTS in options else ["--task-events"]
    app.worker_main(["worker", *events, *(option for option in options if option != NO_TASK_EVENTS)])


if __name__ == "__main__":
    main(sys.argv[1:])
