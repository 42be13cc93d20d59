"""What a job is: its status, record, events, store and queue, shared by front door, workers and subscribers."""
