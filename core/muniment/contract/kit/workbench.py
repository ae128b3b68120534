"""What the kit needs around a driver: one real agent on a machine of its own, and the line to it.

The kit is written against this protocol, so that it needs nothing but the contract; the package of the agent brings the
workbench, by the entry point `workbench` of group `muniment.kit`.
"""

from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol, cast
from uuid import UUID

from muniment.contract.kit.subject import Subject
from muniment.contract.messages import Command, Outcome
from muniment.secret import Secret

__all__ = ["ENTRY_POINT_GROUP", "OpenWorkbench", "Workbench", "find_workbench"]

ENTRY_POINT_GROUP = "muniment.kit"


class Workbench(Protocol):
    """One instance's server with its agent, which is a process of its own and can be killed."""

    instance_id: UUID
    address: str
    port: int
    """Where the engine will listen for clients."""
    memory_mib: int
    folder: Path
    """For what a rule keeps beside the server, such as backups."""

    def start_agent(self) -> None:
        """Start the agent and return when it was heard; no-op when it runs."""
        ...

    def kill_agent(self) -> None:
        """Kill the agent's process, and nothing else: engine and jobs live on."""
        ...

    def cut_power(self) -> None:
        """Kill everything that runs on this server: agent, jobs, engine."""
        ...

    def send(self, command: Command, secrets: Mapping[str, Secret], *, lifetime_s: float) -> None:
        """Seal a command, its secrets to the agent's newest key, and hand it to the transport. It lives so long from now on;
        with a negative time it is over already. Returns at once."""
        ...

    def was_fetched(self, command_id: UUID, *, timeout_s: float) -> bool:
        """Wait until the agent has taken the command from the transport; whether it has."""
        ...

    def outcomes(self, command_id: UUID, *, at_least: int, timeout_s: float) -> list[Outcome]:
        """Every answer heard for this command so far, after waiting for as many as `at_least`."""
        ...

    def close(self) -> None:
        """Cut the power and let go of everything outside of `folder`; no-op when that was done."""
        ...


class OpenWorkbench(Protocol):
    """Makes one in a directory; `cache` is shared by all of a run."""

    def __call__(self, folder: Path, subject: Subject, *, cache: Path) -> Workbench:
        """The agent is not started yet."""
        ...


def find_workbench() -> OpenWorkbench:
    """The installed one; raises LookupError when no package brings it."""
    for point in entry_points(group=ENTRY_POINT_GROUP, name="workbench"):
        return cast(OpenWorkbench, point.load())
    raise LookupError(
        f"no installed package brings a workbench (entry point group {ENTRY_POINT_GROUP}); install muniment-guest"
    )
