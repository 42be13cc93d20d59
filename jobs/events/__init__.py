"""Events as they are read: live, in pages, and by durable groups."""
