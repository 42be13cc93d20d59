"""Which job goes first: our priorities, kombu's, and the list of each."""

from kombu.transport.redis import Channel

HIGHEST = 9
USUAL = 5


def kombu_priority(priority: int) -> int:
    """Our priority (9 is the highest) as kombu's (0 is the highest)."""
    return HIGHEST - priority


our_priority = kombu_priority
"""kombu's priority as ours: the scale is turned round again."""


def queue_key(queue: str, priority: int) -> str:
    """The Redis list that holds the messages of one queue and one of our priorities."""
    return queue if priority == USUAL else f"{queue}{Channel.sep}{priority}"
