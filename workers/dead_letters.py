"""``python -m workers.dead_letters``: what lies in the dead letters, and what is done with them."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict

from jobs.availability import available
from jobs.dead_letters import DeadLetter, DeadLetters
from jobs.errors import DeadLetterIncomplete, DeadLetterNotFound, SettingsError, StoreUnavailable
from jobs.redis_client import connect
from jobs.settings import Settings

WRONG_USE, NO_STORE = 2, 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; the exit code: 2 for a wrong use or id, 1 when Redis cannot be used."""
    asked = _parser().parse_args(arguments)
    try:
        client = connect(Settings.from_environ().redis_url)
        with client, available():
            return _run(asked, DeadLetters(client))
    except SettingsError as error:
        return _complain(error, WRONG_USE)
    except (DeadLetterNotFound, DeadLetterIncomplete) as error:
        return _complain(error, WRONG_USE)
    except StoreUnavailable as error:
        return _complain(error.reason, NO_STORE)


def _run(asked: argparse.Namespace, letters: DeadLetters) -> int:
    match asked.verb:
        case "list":
            for letter in letters:
                sys.stdout.write(_line(letter, as_json=asked.json))
            return 0
        case "show":
            sys.stdout.write(json.dumps(asdict(letters.get(asked.id)), indent=2, ensure_ascii=True) + "\n")
            return 0
        case "requeue":
            return _each(letters, asked.ids, letters.put_back, "put back")
    if asked.all:
        sys.stdout.write(f"{letters.drop_all()} dropped\n")
        return 0
    return _each(letters, asked.ids, letters.drop, "dropped")


def _each(letters: DeadLetters, ids: Sequence[str], act: Callable[[DeadLetter], None], done: str) -> int:
    """All that can be done is done, whatever one of the ids is like."""
    code = 0
    for entry_id in ids:
        try:
            act(letters.get(entry_id))
            sys.stdout.write(f"{entry_id} {done}\n")
        except (DeadLetterNotFound, DeadLetterIncomplete) as error:
            code = _complain(error, WRONG_USE)
    return code


def _line(letter: DeadLetter, *, as_json: bool) -> str:
    if as_json:
        return json.dumps(asdict(letter)) + "\n"
    queue = letter.queue.encode("unicode_escape").decode()
    return f"{letter.id:20}  {letter.at}  {queue:20}  {letter.reason}\n"


def _complain(error: object, code: int) -> int:
    sys.stderr.write(f"dead_letters: {error}\n")
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m workers.dead_letters", description=__doc__, allow_abbrev=False)
    verbs = parser.add_subparsers(dest="verb", required=True)
    listing = verbs.add_parser("list", help="one line each, oldest first")
    listing.add_argument("--json", action="store_true", help="a JSON object a line, with the whole message")
    verbs.add_parser("show", help="all of one").add_argument("id")
    verbs.add_parser("requeue", help="put messages back into their queues").add_argument("ids", nargs="+", metavar="id")
    dropping = verbs.add_parser("drop", help="forget messages")
    which = dropping.add_mutually_exclusive_group(required=True)
    which.add_argument("ids", nargs="*", metavar="id", default=[])
    which.add_argument("--all", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
