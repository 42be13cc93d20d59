"""``python -m workers`` imports the package ``workers`` before it can patch anything for a pool of gevent."""

import subprocess
import sys

TOO_EARLY = ("redis", "kombu", "celery", "ssl", "threading")


def test_importing_workers_imports_nothing_that_gevent_has_to_patch_first() -> None:
    code = f"import sys, workers; print([name for name in {TOO_EARLY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout == "[]\n"


def test_in_a_pool_of_greenlets_those_who_ask_redis_at_once_ask_together() -> None:
    code = "from workers.celery_app import *; print(create_worker_app(Settings()).line.__name__)"
    patched = f"from gevent import monkey; monkey.patch_all(); {code}"
    lines = [
        subprocess.run([sys.executable, "-c", each], capture_output=True, text=True, check=True, timeout=30).stdout
        for each in (code, patched)
    ]
    assert lines == ["Line\n", "SharedLine\n"]
