"""What a subscriber is told when events are lost to it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Gap:
    """Events that were removed from a stream before a subscriber was told of them."""

    stream: str
    """The Redis key."""
    after: str
    """The id of the last entry before the gap, or of the first one that was lost."""
    before: str
    """The id of the first entry after the gap, or of the last one that was lost; ``+`` when neither is known."""
    missed: int | None
    """How many were lost; None where nobody can know."""

    def __str__(self) -> str:
        number = "an unknown number of" if self.missed is None else self.missed
        return f"{number} events of {self.stream} are lost, between {self.after} and {self.before}"
