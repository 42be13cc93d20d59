"""``python -m subscribers.undelivered``: the deliveries to callbacks and webhooks that were given up."""

import sys
from collections.abc import Sequence

from jobs.command import handle_letters, letters_parser, run
from jobs.webhooks.undelivered import UndeliveredEvent, UndeliveredEvents


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; the exit code: 2 for a wrong use or id, 1 when Redis cannot be used."""
    asked = letters_parser("subscribers.undelivered", __doc__).parse_args(arguments)
    return run(lambda store: handle_letters(asked, UndeliveredEvents(store), _line))


def _line(letter: UndeliveredEvent) -> str:
    return f"{letter.id:20}  {letter.at}  {letter.url}  {letter.delivery}  {letter.attempts} attempts  {letter.reason}"


if __name__ == "__main__":
    sys.exit(main())
