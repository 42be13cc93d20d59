"""The adapter for kombu: a job's message, and the queue."""
