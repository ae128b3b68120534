"""A project's limits. What is reserved and used are rows with a guarded sum, written in the events' transaction; the
stream holds the limits alone, so that requests of one project do not fight for it."""

from collections.abc import Mapping
from enum import StrEnum
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec

from muniment.domain.event import Aggregate, Event, topic
from muniment.domain.history import IllegalHistory
from muniment.domain.refused import NotFound, Refused

__all__ = [
    "DEFAULT_LIMITS", "PROJECT_QUOTA", "ProjectQuota", "Quota", "QuotaLimitsSet", "limits_of", "quota_id",
    "set_limits",
]  # fmt: skip

_NAMESPACE = uuid5(NAMESPACE_URL, "urn:muniment:quota")


class Quota(StrEnum):
    """What is limited: numbers, but `ram` in MiB and `volumes` in GiB."""

    INSTANCES = "instances"
    RAM = "ram"
    VOLUMES = "volumes"
    BACKUPS = "backups"


DEFAULT_LIMITS: Mapping[str, int] = {Quota.INSTANCES: 10, Quota.RAM: -1, Quota.VOLUMES: 40, Quota.BACKUPS: 50}
"""Trove's; -1 is unlimited (`trove-api.md` 1.8)."""


def quota_id(project_id: str) -> UUID:
    """The stream of a project's limits."""
    return uuid5(_NAMESPACE, project_id)


@topic("quota.limits_set.1")
class QuotaLimitsSet(Event, frozen=True, kw_only=True):
    """An administrator set limits; those not named stay."""

    limits: dict[str, int]


class ProjectQuota(msgspec.Struct, frozen=True, kw_only=True):
    """The limits that were set for a project."""

    id: UUID
    version: int
    project_id: str
    limits: dict[str, int] = {}


def apply(state: ProjectQuota | None, event: Event) -> ProjectQuota:
    """One event more; raises IllegalHistory for what no decider produces."""
    if not isinstance(event, QuotaLimitsSet):
        raise IllegalHistory(f"{type(event).__name__} does not belong into a quota's stream")
    before = {} if state is None else state.limits
    return ProjectQuota(
        id=event.originator_id,
        version=event.originator_version,
        project_id=event.project_id,
        limits={**before, **event.limits},
    )


PROJECT_QUOTA: Aggregate[ProjectQuota] = Aggregate("quota", apply)


def limits_of(state: ProjectQuota | None, defaults: Mapping[str, int] = DEFAULT_LIMITS) -> dict[str, int]:
    """The limits in force."""
    return {**defaults, **({} if state is None else state.limits)}


def set_limits(state: ProjectQuota | None, project_id: str, limits: Mapping[str, int]) -> list[Event]:
    """Decide new limits. Refuses unknown resources (404) and values below -1 (400)."""
    for resource, limit in limits.items():
        if resource not in DEFAULT_LIMITS:
            raise NotFound("quota resource", resource)
        if limit < -1:
            raise Refused(
                "bad-limit",
                f"the limit of {resource} is {limit}; -1 is unlimited, less is not possible",
                status=400,
            )
    changed = {k: v for k, v in limits.items() if state is None or state.limits.get(k) != v}
    if not changed:
        return []
    version = 1 if state is None else state.version + 1
    return [QuotaLimitsSet(originator_id=quota_id(project_id), originator_version=version, limits=changed)]
