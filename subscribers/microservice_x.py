"""``python -m subscribers.microservice_x``: the seed's second service prints what happens to its own jobs.

With ``--durable`` it is told of everything since it first ran so, also of what happened while it was away.
"""

import argparse
from collections.abc import Sequence

from jobs.model.event import Event
from subscribers.lines import line
from subscribers.service import say, start
from subscribers.subscriber import Subscriber

NAME = "microservice-x"


def handle(event: Event) -> None:
    """What a real service would do with an event goes here."""
    say(f"received {event.name}: {line(event)}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser("python -m subscribers.microservice_x", allow_abbrev=False)
    parser.add_argument("--durable", action="store_true", help="miss nothing, be it away or killed")
    mode = "durable" if parser.parse_args(arguments).durable else "live"
    Subscriber(NAME, owner=NAME, mode=mode).run(handle)


if __name__ == "__main__":
    start(main)
