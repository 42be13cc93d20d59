"""The memory that a job may take: its process gets a MemoryError, and the machine keeps the rest."""

import resource
import sys
from typing import Any


class MemoryLimit:
    """Set in each process of the pool when it starts."""

    def __init__(self, most: int) -> None:
        self._most = most

    def apply(self, **_: Any) -> None:
        if sys.platform == "linux":  # elsewhere the kernel does not count what is mapped
            hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
            soft = self._most if hard == resource.RLIM_INFINITY else min(self._most, hard)
            resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
