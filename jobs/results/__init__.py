"""Celery's result backend: what workers report, and who waits for it."""
