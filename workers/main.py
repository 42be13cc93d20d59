"""Entry point of Celery's own commands: ``celery -A workers.main …``. Reads the environment when imported."""

import sys

from jobs.errors import SettingsError
from jobs.settings import Settings
from workers.celery_app import create_worker_app

try:
    app = create_worker_app(Settings.from_environ())
except SettingsError as error:
    sys.stderr.write(f"joborchestrator: {error}\n")
    raise SystemExit(2) from None
