"""Secrets of an operation between the request that brought them and the guest that needs them: sealed rows.

A row opens only as what it was written for: purpose, reference and operation are part of what is authenticated.
"""

from typing import Final
from uuid import UUID

from muniment.secret import Secret
from muniment.secrets.vault import Vault
from muniment.store.state import SecretRow
from muniment.store.writes import PutSecret

__all__ = ["USER_SECRET", "open_secret_row", "put_secret"]

USER_SECRET: Final = "user-secret"  # noqa: S105 - the name of a purpose


def put_secret(
    vault: Vault,
    secret: Secret,
    *,
    ref: UUID,
    operation_id: UUID,
    expires_s: float,
    purpose: str = USER_SECRET,
) -> PutSecret:
    """Seal a secret as the row `ref` of an operation, for `OutboxRow.secret_refs` to name; gone with the operation."""
    sealed = vault.wrap(purpose, _owner(operation_id, ref), 0, secret)
    return PutSecret(ref, purpose, operation_id, sealed, expires_s)


def open_secret_row(vault: Vault, row: SecretRow) -> Secret:
    """Open what `put_secret` sealed.

    Raises:
        Fault: the row was altered or moved here from elsewhere.
    """
    return vault.unwrap(row.purpose, _owner(row.owner_operation_id, row.ref), 0, row.sealed)


def _owner(operation_id: UUID, ref: UUID) -> str:
    return f"{operation_id}/{ref}"
