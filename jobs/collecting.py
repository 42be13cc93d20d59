"""How often Python looks for reference cycles in a process that serves for long."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

AFTER = (20_000, 20, 50)
"""Python's own (700, 10, 10) spends a tenth of a request on looking for cycles that a request hardly makes."""


def collect_rarely() -> None:
    """Call it once all is imported: what is there now stays, so that no collection need look at it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*AFTER)


@contextmanager
def no_collection() -> Iterator[None]:
    """While modules are imported, which make no cycles that could go: looking for them is a tenth of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
