"""When a delivery that failed is tried again."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schedule:
    """The pauses after the first, second … failed attempt, in seconds; after the last of them it is given up.

    The usual ones are the first that Standard Webhooks suggests, and one more that makes it a day.
    """

    pauses: tuple[float, ...] = (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 6.5 * 3600)
    jitter: float = 0.1
    """The part of a pause by which it is shorter or longer, so that what failed together comes back apart."""
    longest_asked: float = 6 * 3600
    """Seconds; a receiver that asks for more (``Retry-After``) gets this."""

    def pause(self, attempt: int, asked: float | None = None) -> float | None:
        """Seconds until the next attempt after the ``attempt``-th failed, at least those asked for; None for never."""
        if attempt > len(self.pauses):
            return None
        usual = self.pauses[attempt - 1] * random.uniform(1 - self.jitter, 1 + self.jitter)  # noqa: S311  no secret
        return max(usual, min(asked or 0.0, self.longest_asked))
