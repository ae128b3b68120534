"""An instance's resource list: what exists, or may exist, in the cloud for it, by role.

nothing → expected(settled_at) → held(id) → gone. A resource is expected from the save of the intent on, so the instance
alone tells what may exist; absent means that a look begun after `settled_at` found nothing (operations page, 1.6).
"""

from enum import StrEnum

import msgspec

from muniment.domain.event import Event, Personal, topic

__all__ = [
    "EndpointAssigned", "Presence", "Resource", "ResourceAbsent", "ResourceExpected", "ResourceGone",
    "ResourceHeld", "Role",
]  # fmt: skip


class Role(StrEnum):
    """What a resource is to its instance."""

    VOLUME = "volume"
    PORT = "port"
    SERVER = "server"


class Presence(StrEnum):
    """How far a resource is known to exist."""

    EXPECTED = "expected"
    HELD = "held"
    ABSENT = "absent"
    GONE = "gone"


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the list."""

    role: Role
    presence: Presence
    resource_id: str | None = None
    settled_at_s: float = 0.0

    @property
    def may_exist(self) -> bool:
        """Whether something may be there that has to be removed, and counts."""
        return self.presence in (Presence.EXPECTED, Presence.HELD)


@topic("instance.resource_expected.1")
class ResourceExpected(Event, frozen=True, kw_only=True):
    """A call that may create it will be made, at the latest before `settled_at_s`, by when its effect is visible."""

    role: Role
    settled_at_s: float


@topic("instance.resource_held.1")
class ResourceHeld(Event, frozen=True, kw_only=True):
    """It exists under this id: healthy, or found by a removal that will end it."""

    role: Role
    resource_id: str


@topic("instance.resource_absent.1")
class ResourceAbsent(Event, frozen=True, kw_only=True):
    """A look begun after the intent had settled found nothing."""

    role: Role


@topic("instance.resource_gone.1")
class ResourceGone(Event, frozen=True, kw_only=True):
    """The cloud confirmed, by id, that it is no more."""

    role: Role
    resource_id: str


@topic("instance.endpoint_assigned.1")
class EndpointAssigned(Event, frozen=True, kw_only=True):
    """Where clients reach the database."""

    address: Personal
    port: int
    network_id: str
