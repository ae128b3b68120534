"""The codes of a guest's errors, and how a driver raises them.

From the driver contract v1 (design, section 6): every command ends in a result or in one `GuestError` with one of these codes.
"""

from enum import StrEnum

import msgspec

__all__ = ["Code", "GuestError", "OpFailed", "RejectedName"]


class Code(StrEnum):
    """Why an op did not succeed; stable, safe as a metric label."""

    INVALID_ARGUMENT = "invalid_argument"
    """The arguments cannot be read, or name what cannot be."""
    UNSUPPORTED = "unsupported"
    """This agent or driver does not have the op, the method or the store."""
    CONFLICT = "conflict"
    """What is there contradicts what is asked for."""
    PRECONDITION_FAILED = "precondition_failed"
    """Something that comes first is missing: the volume, the programs, an empty data directory."""
    NOT_FOUND = "not_found"
    """What the op is about is not there."""
    ALREADY_EXISTS = "already_exists"
    """Something else has the name."""
    BUSY = "busy"
    """Another command is at work; the same one may be tried again."""
    STALE_EPOCH = "stale_epoch"
    """The command is of an instance epoch that was ended by a delete, a reset or an undo."""
    EXPIRED = "expired"
    """The command came after its deadline and was not begun."""
    RESOURCE_EXHAUSTED = "resource_exhausted"
    """Too little space or memory."""
    IMAGE_UNAVAILABLE = "image_unavailable"
    """The engine's programs or image cannot be had."""
    DB_REFUSED = "db_refused"
    """The engine refused; the message has its words."""
    STORAGE_UNAVAILABLE = "storage_unavailable"
    """The volume or the backups' store does not answer, or is another one."""
    INTEGRITY_FAILED = "integrity_failed"
    """A digest or a manifest does not agree: the data are not what was stored."""
    TIMEOUT = "timeout"
    """The engine or a tool took too long."""
    CANCELLED = "cancelled"
    """The job was told to stop and has stopped."""
    LOST = "lost"
    """The agent or the machine went down in the middle, and nothing tells how far it came."""
    INTERNAL = "internal"
    """A mistake of the agent or the driver."""


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
