"""Everything in one terminal: what `make run` starts."""
