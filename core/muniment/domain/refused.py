"""The caller's mistakes: a decider refuses, nothing is recorded, the API answers a 4xx."""

from collections.abc import Mapping

__all__ = ["Refused", "NotFound"]


class Refused(Exception):
    """A command was refused; nothing changed.

    `code` is stable and kebab-case (`volume-not-larger`); `status` is the HTTP status that the API answers, from
    `trove-api.md` 1.6; the message names the thing, the value, the limit and the next step.
    """

    def __init__(
        self, code: str, message: str, *, status: int = 422, details: Mapping[str, object] | None = None
    ) -> None:
        """Refuse with a code, a sentence for the caller, and the HTTP status it maps to."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.details = dict(details or {})


class NotFound(Refused):
    """The thing named does not exist, or belongs to somebody else, which is the same answer."""

    def __init__(self, what: str, name: object, *, advice: str = "") -> None:
        """Refuse with 404, e.g. `NotFound("instance", instance_id)`; `advice` says what could be named instead."""
        more = f"; {advice}" if advice else ""
        super().__init__("not-found", f"{what} {name} cannot be found{more}", status=404)
