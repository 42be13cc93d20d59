"""``python -m workers.dead_letters``: what lies in the dead letters, and what is done with them."""

import sys
from collections.abc import Sequence

from jobs.command import handle_letters, letters_parser, run
from jobs.letters.dead_letters import DeadLetter, DeadLetters


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; the exit code: 2 for a wrong use or id, 1 when Redis cannot be used."""
    asked = letters_parser("workers.dead_letters", __doc__).parse_args(arguments)
    return run(lambda store: handle_letters(asked, DeadLetters(store.client), _line))


def _line(letter: DeadLetter) -> str:
    queue = letter.queue.encode("unicode_escape").decode()
    return f"{letter.id:20}  {letter.at}  {queue:20}  {letter.reason}"


if __name__ == "__main__":
    sys.exit(main())
