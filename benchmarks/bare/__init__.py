"""Views that read what a submit sends and answer as if there were a job: no Redis, and no more checks than shown."""
