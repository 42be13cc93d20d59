"""What came of one row: figures for the table, and what does not hold."""

import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from faults.evidence import Evidence
from faults.invariants import Violation, check, finished_twice, lost


@dataclass
class Outcome:
    """One line of the table; a row holds when nothing is violated."""

    accepted: int | None = None
    faults: str = ""
    lost: int | None = None
    twice: int | None = None
    refused: int | None = None
    recovery: list[float] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    broke: str = ""
    """Why the run could not be brought to its end."""

    @property
    def holds(self) -> bool:
        return not self.violations and not self.broke

    def judge(self, evidence: Evidence) -> "Outcome":
        """Add what the evidence says."""
        self.accepted = (self.accepted or 0) + len(evidence.ids)
        self.lost = (self.lost or 0) + len(lost(evidence))
        self.twice = (self.twice or 0) + len(finished_twice(evidence))
        self.violations += check(evidence)
        return self

    def require(self, true: object, what: str, job_id: str = "") -> "Outcome":
        """One more thing that must hold in this row."""
        if not true:
            self.violations.append(Violation("row", job_id, what))
        return self


@dataclass(frozen=True)
class Bench:
    """Where and how a row runs: a directory, its own seeded chance, and whether it is to be short."""

    directory: Path
    chance: random.Random
    short: bool
    name: str

    def tell(self, line: str) -> None:
        print(f"faults: {self.name}: {line}", file=sys.stderr, flush=True)

    def size(self, full: int, short: int) -> int:
        return short if self.short else full

    def room(self, name: str) -> Path:
        """A directory for one site."""
        path = self.directory / name
        path.mkdir(parents=True)
        return path


@dataclass(frozen=True)
class Row:
    """One line of the matrix, and its twin: the same with the protection switched off, which must not hold."""

    number: str
    what: str
    run: Callable[[Bench], Outcome]
    twin_is: str = ""
    twin: Callable[[Bench], Outcome] | None = None
    twin_breaks: str = "row"
    """The invariant that the twin must be seen to violate; ``row``: what this row asks for besides."""
    twin_in_short: bool = False
    beside: str = ""
    """Rows that follow one another and have the same name here run side by side: they wait more than they work."""

    def caught(self, twin: Outcome) -> list[Violation]:
        """The violations by which the twin is caught."""
        return [violation for violation in twin.violations if violation.invariant == self.twin_breaks]


class Stopwatch:
    """How long something took."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began
