"""What tests of every tier share: waiting with a deadline, and the real service."""
