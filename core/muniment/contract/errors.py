"""The codes of a guest's errors, and how a driver raises them.

From the driver contract v1 (design, section 6): every command ends in a result or in one `GuestError` with one of these codes.
"""

from enum import StrEnum

import msgspec

__all__ = ["Code", "GuestError", "OpFailed", "RejectedName"]


class Code(StrEnum):
    """Why an op did not succeed; stable, safe as a metric label."""

    INVALID_ARGUMENT = "invalid_argument"
    UNSUPPORTED = "unsupported"
    CONFLICT = "conflict"
    PRECONDITION_FAILED = "precondition_failed"
    NOT_FOUND = "not_found"
    ALREADY_EXISTS = "already_exists"
    BUSY = "busy"
    STALE_EPOCH = "stale_epoch"
    EXPIRED = "expired"
    RESOURCE_EXHAUSTED = "resource_exhausted"
    IMAGE_UNAVAILABLE = "image_unavailable"
    DB_REFUSED = "db_refused"
    STORAGE_UNAVAILABLE = "storage_unavailable"
    INTEGRITY_FAILED = "integrity_failed"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    LOST = "lost"
    INTERNAL = "internal"


class GuestError(msgspec.Struct, frozen=True, kw_only=True):
    """What a guest says when an op failed. The message is for people and holds no secret."""

    code: Code
    message: str
    retryable: bool = False


class OpFailed(Exception):
    """Raised by a driver or the agent to end an op with a `GuestError`."""

    def __init__(self, code: Code, message: str, *, retryable: bool = False) -> None:
        """End the op with this code and message."""
        super().__init__(f"{code}: {message}")
        self.error = GuestError(code=code, message=message[:1000], retryable=retryable)


class RejectedName(Exception):
    """Raised by a ControlDriver: a name, password, charset or parameter that the datastore does not take.

    The API answers 400 with the message; `field` says which part of the request it was.
    """

    def __init__(self, field: str, message: str) -> None:
        """Reject one field of a request."""
        super().__init__(message)
        self.field = field
        self.message = message
