"""How a command ends when it cannot do what was asked: one line and an exit code."""

__all__ = ["BAD_INPUT", "FAILED", "INTERRUPTED", "BadInput", "Failure"]

FAILED = 1
"""Exit code: it was tried and did not work."""
BAD_INPUT = 2
"""Exit code: what was given, or the state it was given in, does not allow it; nothing was changed."""


INTERRUPTED = 130
"""Exit code: Ctrl-C, as shells have it."""


class Failure(Exception):
    """Ends a command with a line on standard error."""

    def __init__(self, message: str, *, code: int = FAILED) -> None:
        """`message` is one sentence: the thing, the value, the next step."""
        super().__init__(message)
        self.message = message
        self.code = code


class BadInput(Failure):
    """Ends a command that was given something it cannot work with."""

    def __init__(self, message: str) -> None:
        """Exit code 2."""
        super().__init__(message, code=BAD_INPUT)
