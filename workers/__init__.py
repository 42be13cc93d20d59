"""The Celery workers and the job types we ship."""
