"""What could not be delivered, kept until a person has looked at it."""
