"""Others that we compare with, on FastAPI: run by a venv of their own, made from ``requirements.txt`` beside this."""
