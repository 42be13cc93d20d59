"""Which servers a test runs with."""

import pytest

WITH_ONE_SERVER = pytest.mark.parametrize("redis_server", ["embedded"], indirect=True)
"""For a file that is not about the server, and takes its time: ``pytestmark = WITH_ONE_SERVER``."""
