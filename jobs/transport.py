"""kombu's Redis transport with one change: the queue of the usual priority bears the queue's own name.

kombu counts priorities from 0, the highest, and gives only that one the bare key. Our priorities count from 9, the
highest, to 0, and the usual one, 5, lives in the list named like the queue.
"""

from kombu.transport import redis

HIGHEST = 9
USUAL = 5


def kombu_priority(priority: int) -> int:
    """Our priority (9 is the highest) as kombu's (0 is the highest)."""
    return HIGHEST - priority


def queue_key(queue: str, priority: int) -> str:
    """The Redis list that holds the messages of one queue and one of our priorities."""
    return queue if priority == USUAL else f"{queue}{redis.Channel.sep}{priority}"


class Channel(redis.Channel):
    """Fetches by priority, 9 first."""

    priority_steps = list(range(HIGHEST + 1))  # noqa: RUF012  kombu declares it so

    def _q_for_pri(self, queue: str, pri: int) -> str:
        return queue_key(queue, HIGHEST - pri)


class Transport(redis.Transport):
    Channel = Channel
