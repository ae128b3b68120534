"""Wrapping: a secret as a row that only this installation can open, and only in the place it was written for."""

import os
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from muniment.fault import Fault
from muniment.secret import Secret
from muniment.secrets.keys import KeyEncryptionKeys

__all__ = ["Vault"]

_MAGIC = b"W1"
_KEY_ID = slice(2, 10)
_NONCE = slice(10, 22)
_SEALED = slice(22, None)
_TAG_BYTES = 16


class Vault:
    """Wraps secrets for the state tables.

    A wrapped secret is `W1 | key id (8) | nonce (12) | AES-256-GCM-SIV`; key id, purpose, owner and epoch are
    authenticated with it, so a row that is moved to another owner, epoch or purpose does not open. GCM-SIV, because a
    machine that is restored from an image may draw the same nonce twice.
    """

    def __init__(self, keys: KeyEncryptionKeys, *, random: Callable[[int], bytes] = os.urandom) -> None:
        """Wrap under the current key of `keys`; open under any of them."""
        self._keys = keys
        self._random = random

    def wrap(self, purpose: str, owner: str, epoch: int, secret: Secret) -> bytes:
        """Seal a secret for one purpose (`root`, `project-dek`, `user-secret`, …), owner and epoch."""
        key_id, nonce = self._keys.current_id, self._random(12)
        sealed = _cipher(self._keys, key_id).encrypt(
            nonce, secret.reveal(), _context(key_id, purpose, owner, epoch)
        )
        return b"".join((_MAGIC, key_id, nonce, sealed))

    def unwrap(self, purpose: str, owner: str, epoch: int, wrapped: bytes) -> Secret:
        """Open what `wrap` made with the same purpose, owner and epoch.

        Raises:
            Fault: it is not a wrapped secret, the key is not in the key file, or it was made for something else.
        """
        name = f"the wrapped {purpose} of {owner}, epoch {epoch},"
        if not wrapped.startswith(_MAGIC) or len(wrapped) < _SEALED.start + _TAG_BYTES:
            raise Fault("secrets", f"{name} is not in a known form", retryable=False)
        key_id = wrapped[_KEY_ID]
        try:
            return Secret(
                _cipher(self._keys, key_id).decrypt(
                    wrapped[_NONCE], wrapped[_SEALED], _context(key_id, purpose, owner, epoch)
                )
            )
        except InvalidTag:
            raise Fault(
                "secrets", f"{name} was altered or moved here from elsewhere", retryable=False
            ) from None


def _cipher(keys: KeyEncryptionKeys, key_id: bytes) -> AESGCMSIV:
    return AESGCMSIV(keys.key(key_id).reveal())


def _context(key_id: bytes, purpose: str, owner: str, epoch: int) -> bytes:
    # Each part carries its length, so no two different contexts have the same bytes.
    parts = (b"muniment wrap 1", key_id, purpose.encode(), owner.encode(), str(epoch).encode())
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
