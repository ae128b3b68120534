"""What the control side keeps to talk to a guest, as wrapped rows: token, root key, public key, gateway password.

The password is kept as its digest, which needs no wrapping: 32 random bytes cannot be guessed from it.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final
from uuid import UUID

from muniment.secret import Secret
from muniment.secrets.vault import Vault
from muniment.store.reader import Reader
from muniment.store.state import EnrolmentRow
from muniment.store.writes import DeleteKey, ForgetGuest, OpenEnrolment, PutKey, Write

__all__ = ["GATEWAY_DIGEST", "GuestKeys", "forget_guest", "password_digest"]

_TOKEN: Final = "enrol"  # noqa: S105 - the name of a purpose
_ROOT: Final = "root"
_PUBLIC: Final = "guest-public"
GATEWAY_DIGEST: Final = "gateway-digest"


class GuestKeys:
    """Writes and reads the keys of guests."""

    def __init__(self, vault: Vault) -> None:
        """Wrap and unwrap with `vault`."""
        self._vault = vault

    def open_enrolment(
        self, instance_id: UUID, key_epoch: int, token: Secret, expires_s: float
    ) -> OpenEnrolment:
        """Let the guest enrol once with this token (32 random bytes) until `expires_s`; saved by the creating operation."""
        sealed = self._vault.wrap(_TOKEN, str(instance_id), key_epoch, token)
        return OpenEnrolment(instance_id, key_epoch, sealed, expires_s)

    def token_of(self, row: EnrolmentRow) -> Secret:
        """The token of an enrolment that is still open."""
        assert row.sealed_token is not None, "the token is burned"
        return self._vault.unwrap(_TOKEN, str(row.instance_id), row.key_epoch, row.sealed_token)

    def admit(
        self, instance_id: UUID, key_epoch: int, root: Secret, bearer: Secret, public_key: bytes
    ) -> list[Write]:
        """Keep what an admitted guest gets and shows. Its older root keys stay, for what is still on its way."""
        owner = str(instance_id)
        return [
            PutKey(_ROOT, owner, key_epoch, self._vault.wrap(_ROOT, owner, key_epoch, root)),
            PutKey(GATEWAY_DIGEST, owner, key_epoch, sha256(bearer.reveal()).digest()),
            self.show(instance_id, key_epoch, public_key),
        ]

    def show(self, instance_id: UUID, key_epoch: int, public_key: bytes) -> PutKey:
        """Keep a guest's public key. It is no secret, but whoever could swap it would be sent passwords: so wrapped."""
        owner = str(instance_id)
        return PutKey(
            _PUBLIC, owner, key_epoch, self._vault.wrap(_PUBLIC, owner, key_epoch, Secret(public_key))
        )

    def root(self, reader: Reader, instance_id: UUID, key_epoch: int) -> Secret | None:
        """The root key of an instance in a key epoch.

        Raises:
            Fault: the row does not open.
        """
        return self._unwrapped(reader, _ROOT, instance_id, key_epoch)

    def is_known(self, reader: Reader, instance_id: UUID, key_epoch: int) -> bool:
        """Whether there is a root key of that epoch."""
        return reader.key(_ROOT, str(instance_id), key_epoch) is not None

    def newest_epoch(self, reader: Reader, instance_id: UUID) -> int | None:
        """The key epoch to seal under; None before the guest has enrolled."""
        rows = reader.keys(_ROOT, str(instance_id))
        return rows[-1].epoch if rows else None

    def public_key(self, reader: Reader, instance_id: UUID, key_epoch: int) -> bytes | None:
        """The guest's public key as last shown."""
        shown = self._unwrapped(reader, _PUBLIC, instance_id, key_epoch)
        return shown.reveal() if shown is not None else None

    def _unwrapped(self, reader: Reader, purpose: str, instance_id: UUID, key_epoch: int) -> Secret | None:
        owner = str(instance_id)
        wrapped = reader.key(purpose, owner, key_epoch)
        return None if wrapped is None else self._vault.unwrap(purpose, owner, key_epoch, wrapped)


def password_digest(reader: Reader, instance_id: UUID) -> bytes | None:
    """SHA-256 of the password an instance shows at the gateway; needs no key."""
    rows = reader.keys(GATEWAY_DIGEST, str(instance_id))
    return rows[-1].wrapped if rows else None


def forget_guest(instance_id: UUID) -> Sequence[Write]:
    """Delete everything a guest could be believed by: the end of an instance's deletion saves these."""
    keys = [DeleteKey(purpose, str(instance_id)) for purpose in (_ROOT, GATEWAY_DIGEST, _PUBLIC)]
    return [*keys, ForgetGuest(instance_id)]
