"""How often Python looks for reference cycles in a process that serves for long."""

import gc

AFTER = (20_000, 20, 50)
"""Python's own (700, 10, 10) spends a tenth of a request on looking for cycles that a request hardly makes."""


def collect_rarely() -> None:
    """Call it once all is imported: what is there now stays, so that no collection need look at it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*AFTER)
