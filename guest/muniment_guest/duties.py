"""What the machine may ask for: the port behind which every effect of a command lies."""

from collections.abc import Mapping
from typing import Protocol
from uuid import UUID

import msgspec

from muniment.contract.messages import JobState, Outcome
from muniment.secret import Secret
from muniment_guest.journal import Entry

__all__ = ["Duties", "JobProgress", "JobView", "Jobs", "Secrets"]


class Secrets(Protocol):
    """Opens a command's secrets when the moment to act has come."""

    def __call__(self) -> Mapping[str, Secret]:
        """By name.

        Raises:
            OpFailed: they were sealed to a key this agent no longer has.
        """
        ...


class Duties(Protocol):
    """Carries out queries and acts. Every act is idempotent: it may be called again after a crash anywhere inside it."""

    def query(self, op: str, args: bytes) -> msgspec.Struct:
        """Answer a query; changes nothing.

        Raises:
            OpFailed: there is no answer.
        """
        ...

    def act(self, op: str, args: bytes, secrets: Mapping[str, Secret]) -> msgspec.Struct:
        """Carry out an act to its end.

        Raises:
            OpFailed: it did not succeed.
        """
        ...

    def abandon(self, op: str, args: bytes) -> None:
        """A job of this op ended without having cleaned up after itself: remove what it left outside of the volume."""
        ...


class JobProgress(msgspec.Struct, frozen=True, kw_only=True):
    """What a job last said of itself."""

    seq: int = 0
    phase: str = "started"
    done: int = 0
    total: int | None = None
    unit: str = ""
    message: str = ""


class JobView(msgspec.Struct, frozen=True, kw_only=True):
    """How a job stands. `NEVER` here: its process is gone and left no outcome."""

    state: JobState
    progress: JobProgress = JobProgress()
    outcome: Outcome | None = None
    starts: int = 0
    """How often a process was started for it."""


class Jobs(Protocol):
    """Runs jobs beside the agent, so that they outlive it."""

    def start(self, entry: Entry, secrets: Mapping[str, Secret]) -> None:
        """Start a process for a job that has none.

        Raises:
            OpFailed: it could not be started.
        """
        ...

    def look(self, command_id: UUID) -> JobView:
        """How it stands."""
        ...

    def end(self, command_id: UUID) -> None:
        """Have its processes gone: first asked, then killed. An outcome it wrote meanwhile stays readable."""
        ...

    def forget(self, command_id: UUID) -> None:
        """Its outcome is in the journal: remove its files."""
        ...
