"""The algorithms an envelope may use, and the keys made for one instance, epoch, direction and algorithm."""

from collections.abc import Callable
from enum import IntEnum
from typing import Final, Protocol
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESGCMSIV, ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from muniment.secret import Secret

__all__ = ["ROOT_KEY_BYTES", "DEFAULT_SUITES", "Direction", "DirectionKey", "KeyFinder", "Suite"]

ROOT_KEY_BYTES: Final = 32
_LABEL: Final = b"muniment/msg/v1"
_VERSION: Final = 1


class Suite(IntEnum):
    """The algorithm that seals a message; part of the key derivation, so no key ever serves two of them."""

    AES_256_GCM = 1
    CHACHA20_POLY1305 = 2
    """For machines without AES instructions."""
    AES_256_GCM_SIV = 3


DEFAULT_SUITES: Final = frozenset({Suite.AES_256_GCM, Suite.CHACHA20_POLY1305})
"""What a receiver accepts unless told otherwise. GCM-SIV is left out: on long messages it is twenty times slower."""


class Direction(IntEnum):
    """Which way a message travels; bound into its key, so that nothing can be reflected."""

    TO_GUEST = 1
    TO_CONTROL = 2


class _Cipher(Protocol):
    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes: ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes: ...


_CIPHERS: Final[dict[Suite, Callable[[bytes], _Cipher]]] = {
    Suite.AES_256_GCM: AESGCM,
    Suite.CHACHA20_POLY1305: ChaCha20Poly1305,
    Suite.AES_256_GCM_SIV: AESGCMSIV,
}


class DirectionKey:
    """Seals and opens the messages of one instance, key epoch, direction and suite; knows which those are."""

    __slots__ = ("cipher", "direction", "epoch", "instance_id", "suite")

    def __init__(
        self,
        root: Secret,
        instance_id: UUID,
        epoch: int,
        direction: Direction,
        suite: Suite = Suite.AES_256_GCM,
    ) -> None:
        """Derive from the instance's root key of that epoch (32 bytes)."""
        material = root.reveal()
        assert len(material) == ROOT_KEY_BYTES, "a root key has 32 bytes"
        self.instance_id = instance_id
        self.epoch = epoch
        self.direction = direction
        self.suite = suite
        salt = _LABEL + instance_id.bytes + epoch.to_bytes(4)
        info = bytes((_VERSION, suite, direction))
        self.cipher: _Cipher = _CIPHERS[suite](HKDF(SHA256(), 32, salt, info).derive(material))


class KeyFinder(Protocol):
    """Where the opening of an envelope gets its key from."""

    def find(
        self, instance: bytes, epoch: int, direction: Direction, suite: Suite, now_ms: int
    ) -> DirectionKey | None:
        """The key for a header's fields (`instance` as its 16 bytes), or None when there is none such."""
        ...
