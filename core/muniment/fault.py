"""The world's faults: what a port raises when something outside of us did not do what it should."""

__all__ = ["Fault"]


class Fault(Exception):
    """The world failed: a disk is full, a server does not answer, a file is not what it should be.

    `port` names the place (`store`, `cloud`, `gateway`, …), `retryable` says whether trying again later makes sense.
    The message is for people: the thing, the value, the limit, the next step. It never holds a secret.
    """

    def __init__(self, port: str, message: str, *, retryable: bool = True) -> None:
        """Say what failed, where, and whether a later try may succeed."""
        super().__init__(message)
        self.port = port
        self.message = message
        self.retryable = retryable
