"""What the agent keeps on the root disk to be believed again after its restart: its key, its session, what it has heard."""

from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from muniment.bus.endpoint import next_session
from muniment.bus.enrolment import Admission
from muniment.bus.window import Window
from muniment.durable_file import sync_folder
from muniment.fault import Fault
from muniment.secret import Secret
from muniment_guest.files import write_durably

__all__ = ["Identity", "IdentityFiles"]

_OFFSET_MS_MIN: Final = 2000
"""A smaller difference is the time that the enrolment took."""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who an enrolled agent is. Holds secrets: it goes into its file and nowhere else."""

    key_epoch: int
    root_key: Secret
    bearer: Secret
    clock_offset_ms: int

    @classmethod
    def of(cls, admission: Admission, key_epoch: int, now_ms: int) -> "Identity":
        """What an admission gives."""
        offset_ms = admission.server_time_ms - now_ms
        return cls(
            key_epoch=key_epoch,
            root_key=admission.root_key,
            bearer=admission.bearer,
            clock_offset_ms=offset_ms if abs(offset_ms) >= _OFFSET_MS_MIN else 0,
        )


class IdentityFiles:
    """The files, each 0600, written whole and durable."""

    def __init__(self, state: Path, token: Path) -> None:
        """`state` is the agent's directory on the root disk, `token` the one-time token's file."""
        self._identity = state / "identity"
        self._enrolling = state / "enrolling.key"
        self._session = state / "session"
        self._window = state / "window"
        self._token = token

    def read(self) -> Identity | None:
        """The identity; None before the first enrolment.

        Raises:
            Fault: the file is damaged.
        """
        try:
            return _decoder.decode(self._identity.read_bytes())
        except FileNotFoundError:
            return None
        except msgspec.MsgspecError as error:
            raise Fault("agent", f"{self._identity} is damaged", retryable=False) from error

    def write(self, identity: Identity) -> None:
        """Keep it, then remove what led to it: the token, which is burned, and the key of the request.

        A new key epoch is a new conversation, so what was heard under the old one is forgotten first.
        """
        self._window.unlink(missing_ok=True)
        write_durably(self._identity, _encoder.encode(identity))
        for used in (self._token, self._enrolling):
            if used.exists():
                used.unlink()
                sync_folder(used.parent)

    def token(self) -> Secret:
        """The one-time token.

        Raises:
            Fault: it is not there: used up by another, or never written.
        """
        try:
            return Secret(self._token.read_bytes())
        except OSError as error:
            message = f"there is no enrolment token in {self._token}, and this agent has not enrolled yet"
            raise Fault("agent", message, retryable=False) from error

    def enrolling_key(self) -> X25519PrivateKey:
        """The key of this enrolment's request: the same after a crash, for only the same request is answered again."""
        try:
            return X25519PrivateKey.from_private_bytes(self._enrolling.read_bytes())
        except FileNotFoundError:
            key = X25519PrivateKey.generate()
            write_durably(self._enrolling, key.private_bytes_raw())
            return key

    def next_session(self, now_ms: int) -> int:
        """A session number that was never used, kept before it is."""
        last = int(self._session.read_text()) if self._session.exists() else 0
        session = next_session(last, now_ms)
        write_durably(self._session, str(session).encode())
        return session

    def read_window(self) -> Window:
        """What was heard."""
        try:
            return Window.from_bytes(self._window.read_bytes())
        except FileNotFoundError:
            return Window()

    def write_window(self, window: Window) -> None:
        """Keep what was heard."""
        write_durably(self._window, window.to_bytes())

    def forget_token(self) -> None:
        """Remove a token that a crash left beside a finished enrolment."""
        self._token.unlink(missing_ok=True)
        self._enrolling.unlink(missing_ok=True)


def _to_file(value: object) -> bytes:
    assert isinstance(value, Secret), type(value)
    return value.reveal()


def _from_file(kind: type, value: object) -> Secret:
    if kind is not Secret or not isinstance(value, bytes):
        raise ValueError("a secret is kept as bytes")
    return Secret(value)


_encoder = msgspec.msgpack.Encoder(enc_hook=_to_file)
_decoder = msgspec.msgpack.Decoder(Identity, dec_hook=_from_file)
