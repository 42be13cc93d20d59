"""Flask and Celery as most people put them together, for comparison."""
