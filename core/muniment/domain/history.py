"""What every fold refuses."""

__all__ = ["IllegalHistory"]


class IllegalHistory(Exception):
    """Events that no decider could have produced: a stream was tampered with, or there is a bug."""
