"""``python -m subscribers.microservice_x``: the seed's second service prints what happens to its own jobs."""

from jobs.events import Event
from subscribers.lines import line
from subscribers.service import say, start
from subscribers.subscriber import Subscriber

NAME = "microservice-x"


def handle(event: Event) -> None:
    """What a real service would do with an event goes here."""
    say(f"received {event.name}: {line(event)}")


def main() -> None:
    Subscriber(NAME, owner=NAME).run(handle)


if __name__ == "__main__":
    start(main)
