"""Secrets sealed to one guest: only the holder of its X25519 private key opens them, and only in the context named.

Hybrid public-key encryption (RFC 9180) in base mode: the control plane is authenticated by the envelope around it.
A stolen root key does not open a recorded secret, since the private key never leaves the guest's memory.
"""

from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from muniment.bus.envelope import EnvelopeError
from muniment.secret import Secret

__all__ = ["PUBLIC_KEY_BYTES", "SECRET_BYTES_MAX", "open_secret", "seal_secret"]

PUBLIC_KEY_BYTES: Final = 32
SECRET_BYTES_MAX: Final = 64 * 1024
_LABEL: Final = b"muniment/secret/v1"
_VERSION: Final = b"\x01"
_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_SEALED_BYTES_MAX: Final = SECRET_BYTES_MAX + 256


def seal_secret(secret: Secret, public_key: bytes, *, command_id: UUID, name: str) -> bytes:
    """Seal `secret` for the guest with this public key, for use in this command under this name.

    Raises:
        ValueError: the public key is not one, or the secret is larger than 64 KiB.
    """
    value = secret.reveal()
    if len(value) > SECRET_BYTES_MAX:
        raise ValueError(f"a secret of {len(value)} bytes is over the limit of {SECRET_BYTES_MAX}")
    recipient = X25519PublicKey.from_public_bytes(public_key)
    return _VERSION + _SUITE.encrypt(value, recipient, _context(command_id, name))


def open_secret(sealed: object, private_key: X25519PrivateKey, *, command_id: UUID, name: str) -> Secret:
    """Open what `seal_secret` made for this key, command and name.

    Raises:
        EnvelopeError: `malformed`, or `not_authentic` when any of the three differs or a bit changed.
    """
    if type(sealed) is not bytes or not 1 < len(sealed) <= _SEALED_BYTES_MAX or sealed[:1] != _VERSION:
        raise EnvelopeError("malformed")
    try:
        return Secret(_SUITE.decrypt(sealed[1:], private_key, _context(command_id, name)))
    except (InvalidTag, ValueError):
        # The library says InvalidTag for everything but an unusable public key.
        raise EnvelopeError("not_authentic") from None


def _context(command_id: UUID, name: str) -> bytes:
    return _LABEL + command_id.bytes + name.encode()
