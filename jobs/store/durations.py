"""How long jobs of a type take: a histogram kept in Redis, and what it says about a job's remaining time.

``finish.lua`` counts each Completed job in the bucket ``ceil(log(ms) / log(1.05))`` of ``jobs:durations:<type>``,
so a quantile is known to 5 % from a few hundred small integers, whatever number of jobs has run.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from math import ceil

STEP = 1.05
WORTH_A_LOOK = 0.5
"""Of the jobs that last longer than this one has so far, the share that ends before the next look. With one half there
are about two looks; with more there is one, and it comes late (docs/performance.md)."""
LONGEST_RETRY_AFTER = 60
UNKNOWN_RETRY_AFTER = 1


@dataclass(frozen=True, slots=True)
class Durations:
    """Jobs by duration: ``bounds`` in seconds, ascending; ``ended``: 0, and how many jobs ended within each."""

    bounds: tuple[float, ...]
    ended: tuple[int, ...]

    @classmethod
    def from_redis(cls, fields: Mapping[str, str]) -> "Durations":
        counts = sorted((int(bucket), int(count)) for bucket, count in fields.items())
        return cls(tuple(STEP**bucket / 1000 for bucket, _ in counts), (0, *accumulate(count for _, count in counts)))

    def quantile(self, share: float, older_than: float = 0.0) -> float | None:
        """The seconds within which ``share`` of those jobs end that last longer than ``older_than`` seconds."""
        first = bisect_right(self.bounds, older_than)
        if first == len(self.bounds):
            return None
        before, all_of_them = self.ended[first], self.ended[-1]
        wanted = before + share * (all_of_them - before)
        return self.bounds[max(first, bisect_left(self.ended, wanted) - 1)]

    def retry_after(self, age: float, starts_in: float = 0.0) -> int:
        """Whole seconds, at least 1, after which a job of this type is worth a look.

        It has run ``age`` seconds, or will begin in ``starts_in`` seconds: before that there is nothing to be seen.
        """
        expected = self.quantile(WORTH_A_LOOK, older_than=age)
        if expected is None:  # none has taken this long (or none has ended): look again after as long once more
            return max(UNKNOWN_RETRY_AFTER, ceil(min(LONGEST_RETRY_AFTER, age / 2) + starts_in))
        return max(1, round(min(LONGEST_RETRY_AFTER, expected - age) + starts_in))


NOTHING_KNOWN = Durations((), (0,))
