"""Data keys of projects as rows of the store, read in the transaction that seals or opens with them."""

from muniment.secrets.personal import PROJECT_KEY, PersonalCipher, ProjectKeys
from muniment.store.state import KeyRow
from muniment.store.transaction import Transaction

__all__ = ["SealingKeys", "StoredKeys"]


class StoredKeys:
    """The data keys of projects within one read."""

    def __init__(self, tx: Transaction, cipher: PersonalCipher) -> None:
        """Read rows in `tx`, open them with `cipher`."""
        self._tx = tx
        self._cipher = cipher
        self._found: dict[str, ProjectKeys] = {}

    def __call__(self, project_id: str) -> ProjectKeys:
        """The keys of a project; without any, if it was erased."""
        if project_id not in self._found:
            self._found[project_id] = self._cipher.keys(project_id, self._rows(project_id))
        return self._found[project_id]

    def _rows(self, project_id: str) -> list[tuple[int, bytes]]:
        rows = self._tx.rows(
            "SELECT epoch, wrapped FROM keys WHERE purpose = :purpose AND owner = :owner ORDER BY epoch",
            {"purpose": PROJECT_KEY, "owner": project_id},
        )
        return [(row["epoch"], row["wrapped"]) for row in rows]


class SealingKeys(StoredKeys):
    """The data keys of projects within one save; the first personal field of a project makes its key there and then.

    Two first saves at once end with one key: the second finds the row of the first, whoever wins.
    """

    def _rows(self, project_id: str) -> list[tuple[int, bytes]]:
        rows = super()._rows(project_id)
        if not rows:
            row = KeyRow(PROJECT_KEY, project_id, 1, self._cipher.new_key(project_id, 1))
            self._tx.run(
                """INSERT INTO keys (purpose, owner, epoch, wrapped) VALUES (:purpose, :owner, :epoch, :wrapped)
                ON CONFLICT (purpose, owner, epoch) DO NOTHING""",
                row,
            )
            rows = super()._rows(project_id)
        return rows
