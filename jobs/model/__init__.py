"""What a job is: its status, record and events, and what is handed in at a submit. Nothing here asks Redis."""
