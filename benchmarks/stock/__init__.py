"""What we compare with: Flask and Celery as most people put them together, with their defaults."""
