"""I9: what a web process and Redis hold, before and after: files, threads, memory and connections come back."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass

from support.eventually import eventually

from faults.invariants import Violation
from faults.site import Site, children_of

BACK_WITHIN = 10.0


@dataclass(frozen=True, slots=True)
class Usage:
    """Of all web processes together; ``connections`` are Redis's."""

    files: int
    threads: int
    megabytes: int
    connections: int


MORE = Usage(files=80, threads=2, megabytes=200, connections=80)
"""What may stay: the bounded pool of connections to Redis, and the heap that Python keeps: 160 MB of 5,000 waits."""


def usage(site: Site) -> Usage:
    processes = [child for web in site.webs.values() for child in children_of(web)]
    memory = sum(process.memory_info().rss for process in processes)
    return Usage(
        sum(process.num_fds() for process in processes),
        sum(process.num_threads() for process in processes),
        memory // 1_000_000,
        int(site.redis.info("clients")["connected_clients"]),
    )


def not_come_back(site: Site, before: Usage) -> list[Violation]:
    """What is still held some time after the load has gone, beyond ``MORE``."""
    with suppress(AssertionError):
        eventually(lambda: not list(_grown(before, usage(site))), within=BACK_WITHIN)
    return [Violation("I9", "", what) for what in _grown(before, usage(site))]


def _grown(before: Usage, after: Usage) -> Iterator[str]:
    was, more = asdict(before), asdict(MORE)
    for name, number in asdict(after).items():
        if number > was[name] + more[name]:
            yield f"{name} were {was[name]} before and are {number}"
