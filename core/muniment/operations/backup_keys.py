"""Data keys of backups: one each, sealed under the key of the project, so that erasing a project erases its backups."""

import base64
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from muniment.domain.refused import Refused
from muniment.secret import Secret
from muniment.secrets.personal import PROJECT_KEY, PersonalCipher, ProjectKeys
from muniment.store.reader import Reader
from muniment.store.writes import PutKey

__all__ = ["BACKUP_KEY", "DATA_KEY", "BackupKeys", "NewKey"]

BACKUP_KEY: Final = "backup-dek"
"""Under which purpose the sealed data key of a backup is kept; its owner is the backup, its epoch 1."""
DATA_KEY: Final = "backup-data-key"
"""Purpose of the row that carries a data key to the guest for the time of one operation."""
_FIELD: Final = "backup data key"
_BYTES: Final = 32


@dataclass(frozen=True)
class NewKey:
    """A data key that was just made."""

    key: Secret
    key_id: str
    """How the manifest names it."""
    kept: PutKey


class BackupKeys:
    """Makes and opens data keys of backups."""

    def __init__(self, cipher: PersonalCipher, *, random: Callable[[int], bytes] = os.urandom) -> None:
        """`cipher` opens the keys of projects."""
        self._cipher = cipher
        self._random = random

    def new(self, reader: Reader, project_id: str, backup_id: UUID) -> NewKey:
        """Make the data key of a backup that does not exist yet. Its project has a key by now: its instance has a name."""
        key = self._random(_BYTES)
        sealed = self._project_keys(reader, project_id).seal(
            base64.b64encode(key).decode(), backup_id, 1, _FIELD
        )
        key_id = hashlib.sha256(b"muniment backup key id\0" + key).hexdigest()[:16]
        return NewKey(Secret(key), key_id, PutKey(BACKUP_KEY, str(backup_id), 1, sealed.encode()))

    def open(self, reader: Reader, project_id: str, backup_id: UUID) -> Secret:
        """The data key of a backup.

        Raises:
            Refused: the key was destroyed, by the backup's deletion or with its project.
            Fault: the row was altered or moved.
        """
        sealed = reader.key(BACKUP_KEY, str(backup_id), 1)
        opened = None
        if sealed is not None:
            opened = self._project_keys(reader, project_id).open(sealed.decode(), backup_id, 1, _FIELD)
        if opened is None:
            raise Refused("backup-erased", f"the key of backup {backup_id} was destroyed", status=409)
        return Secret(base64.b64decode(opened))

    def _project_keys(self, reader: Reader, project_id: str) -> ProjectKeys:
        rows = [(row.epoch, row.wrapped) for row in reader.keys(PROJECT_KEY, project_id)]
        return self._cipher.keys(project_id, rows)
