"""Side by side on one machine: stock Flask + Celery, and this project. ``make bench`` runs it; see ``__main__``."""
