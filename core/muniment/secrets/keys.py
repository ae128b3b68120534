"""Key-encryption keys: the few keys that wrap all others, and the one file they live in.

The file is the root of trust of an installation: without it no backup, no root key of a guest and no personal field
opens. It is text: one key a line, base64, the last line current; a line that starts with `#` is a remark.
"""

import base64
import binascii
import hashlib
import os
import stat
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

from muniment.durable_file import create_durably
from muniment.fault import Fault
from muniment.secret import Secret

__all__ = ["KEY_BYTES", "KeyEncryptionKeys"]

KEY_BYTES = 32
_ID_BYTES = 8
_LINES_MAX = 64
_DISTINCT_BYTES_MIN = (
    16  # 32 random bytes have about 30 different values; fewer than 16 does not happen by chance
)


class KeyEncryptionKeys:
    """The keys that wrap other keys: the current one for what is written, older ones for what was.

    A key's id is a digest of the key, so an id can never name a different key than the one that wrapped.
    """

    def __init__(self, keys: Sequence[Secret]) -> None:
        """Take the keys, oldest first; the last is current.

        Raises:
            Fault: there is none, or one is of the wrong length or a known sample value.
        """
        if not keys:
            raise Fault("secrets", "there is no key-encryption key", retryable=False)
        for number, key in enumerate(keys, 1):
            _refuse_weak(key.reveal(), f"key-encryption key {number}")
        self._keys = {_id_of(key): key for key in keys}
        self.current_id = _id_of(keys[-1])

    @classmethod
    def generate(cls, random: Callable[[int], bytes] = os.urandom) -> "KeyEncryptionKeys":
        """One new key that is in no file: for tests and simulations."""
        return cls([Secret(random(KEY_BYTES))])

    @classmethod
    def create(cls, path: Path, random: Callable[[int], bytes] = os.urandom) -> "KeyEncryptionKeys":
        """Write a new key to a new file of mode 0600, whole and durably, and read it back.

        Raises:
            Fault: the file exists already (it is never overwritten) or cannot be written.
        """
        line = base64.b64encode(random(KEY_BYTES)) + b"\n"
        try:
            create_durably(path, line)
        except OSError as error:
            raise Fault(
                "secrets", f"{path}: the key file cannot be made: {error.strerror}", retryable=False
            ) from error
        return cls.read(path)

    @classmethod
    def read(cls, path: Path) -> "KeyEncryptionKeys":
        """Read the key file.

        Raises:
            Fault: it is missing, not a plain file, open to group or others, unreadable as keys, or a sample.
        """
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            advice = "; put your copy back" if isinstance(error, FileNotFoundError) else ""
            raise Fault(
                "secrets",
                f"{path}: the key file cannot be read: {error.strerror}{advice}",
                retryable=False,
            ) from error
        with os.fdopen(handle, "rb") as file:
            _refuse_open_file(path, os.fstat(file.fileno()))
            lines = file.read(_LINES_MAX * 128).splitlines()
        keys = [_key_of(line, path, number) for number, line in enumerate(lines, 1) if _holds_key(line)]
        if not keys:
            raise Fault("secrets", f"{path}: there is no key in it; put your copy back", retryable=False)
        try:
            return cls(keys)
        except Fault as fault:
            raise Fault("secrets", f"{path}: {fault.message}", retryable=False) from fault

    def key(self, key_id: bytes) -> Secret:
        """The key with this id.

        Raises:
            Fault: no such key is in the file, so what it wrapped cannot be opened.
        """
        try:
            return self._keys[key_id]
        except KeyError:
            raise Fault(
                "secrets",
                f"key-encryption key {key_id.hex()} is not in the key file; put your copy back",
                retryable=False,
            ) from None


def _id_of(key: Secret) -> bytes:
    return hashlib.sha256(b"muniment key-encryption key id\0" + key.reveal()).digest()[:_ID_BYTES]


def _holds_key(line: bytes) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith(b"#")


def _key_of(line: bytes, path: Path, number: int) -> Secret:
    try:
        return Secret(base64.b64decode(line.strip(), validate=True))
    except binascii.Error:
        # The line itself may be most of a key, so neither it nor the cause is shown.
        raise Fault("secrets", f"{path}: line {number} is not a key in base64", retryable=False) from None


def _refuse_open_file(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise Fault("secrets", f"{path}: the key file is not a plain file", retryable=False)
    if (mode := stat.S_IMODE(status.st_mode)) & 0o177:
        raise Fault(
            "secrets", f"{path}: mode {mode:04o} lets others in; chmod 0600 or 0400 it", retryable=False
        )


def _refuse_weak(key: bytes, name: str) -> None:
    if len(key) != KEY_BYTES:
        raise Fault("secrets", f"{name} has {len(key)} bytes; it must have {KEY_BYTES}", retryable=False)
    steps = {(after - before) % 256 for before, after in pairwise(key)}
    is_text = all(0x20 <= byte < 0x7F for byte in key)
    if len(set(key)) < _DISTINCT_BYTES_MIN or len(steps) == 1 or is_text:
        raise Fault("secrets", f"{name} is a sample value, not a random key; make a new one", retryable=False)
