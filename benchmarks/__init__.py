"""Side by side with what people have: ``make bench``."""
