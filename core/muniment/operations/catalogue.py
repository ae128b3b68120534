"""All kinds of operation, by name. A stored operation is driven by the definition of exactly its kind and version."""

from collections.abc import Mapping
from typing import Final

from muniment.operations.create_backup import CREATE_BACKUP
from muniment.operations.create_instance import CREATE_INSTANCE
from muniment.operations.databases import CREATE_DATABASES, DROP_DATABASE
from muniment.operations.delete_backup import DELETE_BACKUP
from muniment.operations.delete_instance import DELETE_INSTANCE
from muniment.operations.grants import GRANT, REVOKE
from muniment.operations.resize_volume import RESIZE_VOLUME
from muniment.operations.restart_instance import RESTART_INSTANCE
from muniment.operations.steps import Definition
from muniment.operations.superuser import DISABLE_SUPERUSER, ENABLE_SUPERUSER
from muniment.operations.users import ALTER_USER, CREATE_USERS, DROP_USER

__all__ = ["CATALOGUE"]

CATALOGUE: Final[Mapping[str, Definition]] = {
    definition.kind: definition
    for definition in (
        CREATE_INSTANCE,
        DELETE_INSTANCE,
        RESTART_INSTANCE,
        RESIZE_VOLUME,
        CREATE_BACKUP,
        DELETE_BACKUP,
        CREATE_DATABASES,
        DROP_DATABASE,
        CREATE_USERS,
        ALTER_USER,
        DROP_USER,
        GRANT,
        REVOKE,
        ENABLE_SUPERUSER,
        DISABLE_SUPERUSER,
    )
}
