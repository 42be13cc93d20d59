"""``python -m workers`` imports the package ``workers`` before it can patch anything for a pool of gevent."""

import subprocess
import sys

TOO_EARLY = ("redis", "kombu", "celery", "ssl", "threading")


def test_importing_workers_imports_nothing_that_gevent_has_to_patch_first() -> None:
    code = f"import sys, workers; print([name for name in {TOO_EARLY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout == "[]\n"
