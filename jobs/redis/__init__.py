"""The ways to Redis."""
