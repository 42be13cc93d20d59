"""``python -m subscribers.groups``: the durable subscriptions, and what is done with one."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from jobs.command import WRONG_USE, complain, run
from jobs.command import parser as command_parser
from jobs.events.subscriptions import Subscription, Subscriptions, entry_at
from jobs.model.record import rfc3339


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; the exit code: 2 for a wrong use or name, 1 when Redis cannot be used."""
    asked = _parser().parse_args(arguments)
    return run(lambda store: _run(asked, Subscriptions(store)))


def _run(asked: argparse.Namespace, subscriptions: Subscriptions) -> int:
    match asked.verb:
        case "list":
            for each in subscriptions.all():
                sys.stdout.write(_line(each, as_json=asked.json))
        case "dead" if asked.forget:
            sys.stdout.write(f"{subscriptions.forget_dead_letters(asked.service, asked.owner)} forgotten\n")
        case "dead":
            for letter in subscriptions.dead_letters(asked.service, asked.owner):
                said = (
                    f"{letter.id:20}  {letter.at}  entry {letter.entry}  {letter.attempts} deliveries  {letter.reason}"
                )
                sys.stdout.write((json.dumps(asdict(letter)) if asked.json else said) + "\n")
        case "replay":
            return _replay(asked, subscriptions)
        case "drop":
            subscriptions.drop(asked.service, asked.owner)
            sys.stdout.write("dropped\n")
    return 0


def _replay(asked: argparse.Namespace, subscriptions: Subscriptions) -> int:
    try:
        first = entry_at(asked.first)
    except ValueError:
        return complain(f"{asked.first!r} is no RFC 3339 time with its offset or Z, and no entry's id", WRONG_USE)
    done = subscriptions.replay(asked.service, asked.owner, first)
    cut = "; the stream begins later than that" if done.is_cut else ""
    sys.stdout.write(f"{done.events} events come again, those after {done.after}{cut}\n")
    return 0


def _line(each: Subscription, *, as_json: bool) -> str:
    seen = rfc3339(each.last_seen_at)
    if as_json:
        return json.dumps({**asdict(each), "last_seen_at": seen}) + "\n"
    lag = "?" if each.lag is None else each.lag
    return (
        f"{each.service:24}  {each.stream:32}  lag {lag}  pending {each.pending}  consumers {each.consumers}"
        f"  dead letters {each.dead_letters}  seen {seen}\n"
    )


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("subscribers.groups", __doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    listing = verbs.add_parser("list", help="one line each")
    listing.add_argument("--json", action="store_true", help="a JSON object a line")
    replay = verbs.add_parser("replay", help="have events come again")
    dead = verbs.add_parser("dead", help="the dead letters of one, a line each, oldest first")
    drop = verbs.add_parser("drop", help="forget one and its dead letters; its service starts anew")
    for verb in (replay, dead, drop):
        verb.add_argument("service")
        verb.add_argument("--owner", help="whose events it reads; everybody's without it")
    replay.add_argument("--from", dest="first", required=True, help="an RFC 3339 time, or the id of an entry")
    dead.add_argument("--json", action="store_true", help="a JSON object a line, with the event")
    dead.add_argument("--forget", action="store_true", help="remove them all")
    return parser


if __name__ == "__main__":
    sys.exit(main())
