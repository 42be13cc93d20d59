"""Stock Flask + Celery, peers on FastAPI, and this project, side by side. ``make bench`` runs it; see ``__main__``."""
