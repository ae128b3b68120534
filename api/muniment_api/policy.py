"""Who may call what: the one table. The names are Trove's, so that operators find their words again."""

from collections.abc import Mapping
from enum import Enum

from muniment.domain.refused import Refused
from muniment_api.auth.identity import ADMIN, MEMBER, READER, Caller

__all__ = ["POLICY", "Who", "allowed", "enforce"]


class Who(Enum):
    """The least that a caller must be. Resources of other projects are not found by anybody but an admin."""

    READER = frozenset({READER, MEMBER, ADMIN})
    MEMBER = frozenset({MEMBER, ADMIN})
    ADMIN = frozenset({ADMIN})


POLICY: Mapping[str, Who] = {
    "instance:create": Who.MEMBER,
    "instance:delete": Who.MEMBER,
    "instance:force_delete": Who.MEMBER,
    "instance:index": Who.READER,
    "instance:detail": Who.READER,
    "instance:show": Who.READER,
    "instance:update": Who.MEMBER,
    "instance:restart": Who.MEMBER,
    "instance:resize_volume": Who.MEMBER,
    "instance:resize_flavor": Who.MEMBER,
    "instance:promote_to_replica_source": Who.MEMBER,
    "instance:eject_replica_source": Who.MEMBER,
    "instance:reset_status": Who.ADMIN,
    "instance:backups": Who.READER,
    "instance:extension:root:create": Who.MEMBER,
    "instance:extension:root:delete": Who.MEMBER,
    "instance:extension:root:index": Who.READER,
    "instance:extension:user:create": Who.MEMBER,
    "instance:extension:user:delete": Who.MEMBER,
    "instance:extension:user:index": Who.READER,
    "instance:extension:user:show": Who.READER,
    "instance:extension:user:update": Who.MEMBER,
    "instance:extension:user:update_all": Who.MEMBER,
    "instance:extension:user_access:update": Who.MEMBER,
    "instance:extension:user_access:delete": Who.MEMBER,
    "instance:extension:user_access:index": Who.READER,
    "instance:extension:database:create": Who.MEMBER,
    "instance:extension:database:delete": Who.MEMBER,
    "instance:extension:database:index": Who.READER,
    "instance:extension:database:show": Who.READER,
    "backup:create": Who.MEMBER,
    "backup:delete": Who.MEMBER,
    "backup:index": Who.READER,
    "backup:index:all_projects": Who.ADMIN,
    "backup:show": Who.READER,
    "datastore:index": Who.READER,
    "datastore:show": Who.READER,
    "datastore:version_index": Who.READER,
    "datastore:version_show": Who.READER,
    "datastore:version_show_by_uuid": Who.READER,
    "datastore:list_associated_flavors": Who.READER,
    "datastore:list_associated_volume_types": Who.READER,
    "flavor:index": Who.READER,
    "flavor:show": Who.READER,
    "limits:index": Who.READER,
    # ours: Trove's management API tests for admin in code
    "quota:show": Who.READER,
    "quota:show:all_projects": Who.ADMIN,
    "quota:update": Who.ADMIN,
    "operation:index": Who.READER,
    "operation:show": Who.READER,
    "operation:cancel": Who.MEMBER,
    "event:index": Who.READER,
    "event:index:all_projects": Who.ADMIN,
}


def allowed(rule: str, caller: Caller) -> bool:
    """Whether the table lets a caller do this."""
    return not caller.roles.isdisjoint(POLICY[rule].value)


def enforce(rule: str, caller: Caller) -> None:
    """Let a caller pass or refuse.

    Raises:
        Refused: 403.
    """
    if not allowed(rule, caller):
        raise Refused("forbidden", f"Policy doesn't allow {rule} to be performed.", status=403)
