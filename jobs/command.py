"""What the commands have in common: ``python -m workers.dead_letters`` and the like."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from jobs.connections.availability import available
from jobs.connections.client import connect
from jobs.errors import DeadLetterIncomplete, DeadLetterNotFound, JobsError, StoreUnavailable
from jobs.letters.stream import L, Letters
from jobs.settings import Settings
from jobs.store.reader import JobReader

WRONG_USE, NO_STORE = 2, 1


def run(act: Callable[[JobReader], int]) -> int:
    """The exit code of ``act``; 2 when it is asked for what is not there, 1 when Redis cannot be used."""
    try:
        settings = Settings.from_environ()
        with connect(settings.redis_url) as client, available():
            return act(JobReader(client, settings))
    except StoreUnavailable as error:
        return complain(error.reason, NO_STORE)
    except JobsError as error:
        return complain(error, WRONG_USE)


def complain(error: object, code: int) -> int:
    sys.stderr.write(f"{sys.argv[0].rpartition('/')[2].removesuffix('.py')}: {error}\n")
    return code


def parser(module: str, description: str | None) -> argparse.ArgumentParser:
    """For ``python -m module``."""
    return argparse.ArgumentParser(f"python -m {module}", description=description, allow_abbrev=False)


def handle_letters(asked: argparse.Namespace, letters: Letters[L], line: Callable[[L], str]) -> int:
    """Do with letters what :func:`letters_parser` has read; ``line`` is what the list says of one."""
    match asked.verb:
        case "list":
            for letter in letters:
                sys.stdout.write((json.dumps(_as_dict(letter)) if asked.json else line(letter)) + "\n")
            return 0
        case "show":
            sys.stdout.write(json.dumps(_as_dict(letters.get(asked.id)), indent=2, ensure_ascii=True) + "\n")
            return 0
        case "requeue":
            return _each(letters, asked.ids, letters.put_back, "put back")
    if asked.all:
        sys.stdout.write(f"{letters.drop_all()} dropped\n")
        return 0
    return _each(letters, asked.ids, letters.drop, "dropped")


def letters_parser(module: str, description: str | None) -> argparse.ArgumentParser:
    """What can be done with letters."""
    letters = parser(module, description)
    verbs = letters.add_subparsers(dest="verb", required=True)
    listing = verbs.add_parser("list", help="one line each, oldest first")
    listing.add_argument("--json", action="store_true", help="a JSON object a line, with all of it")
    verbs.add_parser("show", help="all of one").add_argument("id")
    verbs.add_parser("requeue", help="have them delivered after all").add_argument("ids", nargs="+", metavar="id")
    dropping = verbs.add_parser("drop", help="forget them")
    which = dropping.add_mutually_exclusive_group(required=True)
    which.add_argument("ids", nargs="*", metavar="id", default=[])
    which.add_argument("--all", action="store_true")
    return letters


def _each(letters: Letters[L], ids: Sequence[str], act: Callable[[L], None], done: str) -> int:
    """All that can be done is done, whatever one of the ids is like."""
    code = 0
    for entry_id in ids:
        try:
            act(letters.get(entry_id))
            sys.stdout.write(f"{entry_id} {done}\n")
        except (DeadLetterNotFound, DeadLetterIncomplete) as error:
            code = complain(error, WRONG_USE)
    return code


def _as_dict(letter: Any) -> dict[str, Any]:
    return asdict(letter)
