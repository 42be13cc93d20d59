"""Every verb on a job, and every look at jobs."""
