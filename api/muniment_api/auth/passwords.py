"""Passwords at rest: scrypt hashes that carry their own parameters, so that these can be raised later."""

import hashlib
import hmac
import os
import secrets
from typing import Annotated, Literal

import msgspec

from muniment.secret import Secret

__all__ = ["COST", "Cost", "PasswordHash", "generated_password", "hash_password"]

_MEMORY_BYTES_MAX = 64 * 1024 * 1024


class Cost(msgspec.Struct, frozen=True):
    """What one guess costs: scrypt's `n`, `r` and `p`; a hash takes 128 * n * r bytes of memory."""

    n: int
    r: int
    p: int


COST = Cost(n=2**14, r=8, p=5)
"""16 MiB and about a quarter of a second on a small machine. n = 2^17 with p = 1 is as strong but takes 128 MiB for
each concurrent log-in, which is more than the rest of the control plane on one machine."""


class PasswordHash(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A salted scrypt digest with the parameters that made it."""

    scheme: Literal["scrypt"]
    n: Annotated[int, msgspec.Meta(ge=2, le=2**20)]
    r: Annotated[int, msgspec.Meta(ge=1, le=32)]
    p: Annotated[int, msgspec.Meta(ge=1, le=16)]
    salt: Annotated[bytes, msgspec.Meta(min_length=16, max_length=64)]
    digest: Annotated[bytes, msgspec.Meta(min_length=32, max_length=64)]

    def __post_init__(self) -> None:
        if self.n & (self.n - 1):
            raise ValueError("n must be a power of two")
        if 128 * self.n * self.r > _MEMORY_BYTES_MAX:
            raise ValueError(f"a hash with n={self.n}, r={self.r} would take more than 64 MiB of memory")

    def matches(self, password: Secret) -> bool:
        """Whether `password` is the one that was hashed; takes as long as hashing."""
        found = _digest(password, self.salt, Cost(self.n, self.r, self.p), length=len(self.digest))
        return hmac.compare_digest(found, self.digest)


def hash_password(password: Secret, *, cost: Cost = COST) -> PasswordHash:
    """Hash a password under a fresh salt."""
    salt = os.urandom(16)
    digest = _digest(password, salt, cost, length=32)
    return PasswordHash(scheme="scrypt", n=cost.n, r=cost.r, p=cost.p, salt=salt, digest=digest)


def generated_password() -> Secret:
    """A password of 144 random bits that survives a shell, a URL and a YAML file unquoted."""
    return Secret("m" + secrets.token_urlsafe(18).replace("-", "x").replace("_", "y"))


def _digest(password: Secret, salt: bytes, cost: Cost, *, length: int) -> bytes:
    return hashlib.scrypt(
        password.reveal(),
        salt=salt,
        n=cost.n,
        r=cost.r,
        p=cost.p,
        maxmem=2 * _MEMORY_BYTES_MAX,
        dklen=length,
    )
