"""URLs that are told of jobs, and what is on its way to them."""
