"""Personal fields at rest: sealed one by one under the data key of their project, gone for good when the key is.

Structure stays readable without any key, so projections of other fields and audits work on an erased project too.
"""

import base64
import binascii
import hashlib
import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from muniment.fault import Fault
from muniment.secret import Secret
from muniment.secrets.keys import KEY_BYTES
from muniment.secrets.vault import Vault

__all__ = ["PROJECT_KEY", "PersonalCipher", "ProjectKeys"]

PROJECT_KEY = "project-dek"
"""The purpose under which data keys of projects are wrapped and stored."""

_FORM = "p1"
_CACHED_PROJECTS = 1024


class ProjectKeys:
    """The opened data keys of one project; the newest seals, each opens what it sealed."""

    def __init__(self, project_id: str, keys: Sequence[bytes], random: Callable[[int], bytes]) -> None:
        """Take the keys, oldest first. Without any, nothing can be opened or sealed."""
        self._project = project_id.encode()
        self._ciphers = {_id_of(key): AESGCMSIV(key) for key in keys}
        self._current = _id_of(keys[-1]) if keys else None
        self._random = random

    def seal(self, text: str, stream_id: UUID, version: int, field: str) -> str:
        """Seal one field; it opens only at this project, stream, version and field path."""
        assert self._current is not None, "a project's data key is made before anything is sealed"
        nonce = self._random(12)
        context = self._context(self._current, stream_id, version, field)
        # A lone surrogate can come out of JSON; it must not break the save of an event that was accepted.
        sealed = self._ciphers[self._current].encrypt(nonce, text.encode("utf-8", "surrogatepass"), context)
        return f"{_FORM}.{self._current}.{base64.b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str, stream_id: UUID, version: int, field: str) -> str | None:
        """Open a sealed field; None if the key that sealed it is gone.

        Raises:
            Fault: it is no sealed field, or it was altered or moved.
        """
        try:
            form, key_id, payload = sealed.split(".")
            data = base64.b64decode(payload, validate=True)
        except (ValueError, binascii.Error):
            form = key_id = ""
            data = b""
        if form != _FORM:
            raise Fault(
                "store", f"field {field} of {stream_id} version {version} is not sealed", retryable=False
            )
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            return None
        try:
            opened = cipher.decrypt(data[:12], data[12:], self._context(key_id, stream_id, version, field))
        except (InvalidTag, ValueError):
            raise Fault(
                "store",
                f"field {field} of {stream_id} version {version} was altered or moved",
                retryable=False,
            ) from None
        return opened.decode("utf-8", "surrogatepass")

    def _context(self, key_id: str, stream_id: UUID, version: int, field: str) -> bytes:
        parts = (
            b"muniment personal 1",
            key_id.encode(),
            self._project,
            stream_id.bytes,
            b"%d" % version,
            field.encode(),
        )
        return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


class PersonalCipher:
    """Makes data keys of projects and opens them from their wrapped rows.

    The rows belong to the store, which reads them in the transaction they are used in; so an erasure by one process
    counts at once in all. What is cached here is the work of unwrapping, keyed by the wrapped bytes themselves.
    """

    def __init__(self, vault: Vault, *, random: Callable[[int], bytes] = os.urandom) -> None:
        """Wrap and open data keys with `vault`."""
        self._vault = vault
        self._random = random
        self._opened = lru_cache(maxsize=_CACHED_PROJECTS)(self._open)

    def new_key(self, project_id: str, epoch: int) -> bytes:
        """A new data key of a project, wrapped, ready to be stored."""
        return self._vault.wrap(PROJECT_KEY, project_id, epoch, Secret(self._random(KEY_BYTES)))

    def keys(self, project_id: str, rows: Sequence[tuple[int, bytes]]) -> ProjectKeys:
        """Open a project's stored keys, given as (epoch, wrapped), lowest epoch first."""
        return self._opened(project_id, tuple(rows))

    def _open(self, project_id: str, rows: tuple[tuple[int, bytes], ...]) -> ProjectKeys:
        keys = [
            self._vault.unwrap(PROJECT_KEY, project_id, epoch, wrapped).reveal() for epoch, wrapped in rows
        ]
        return ProjectKeys(project_id, keys, self._random)


def _id_of(key: bytes) -> str:
    # By digest, not by epoch: a key made after an erasure must not be taken for the erased one.
    return hashlib.sha256(b"muniment project key id\0" + key).hexdigest()[:16]
