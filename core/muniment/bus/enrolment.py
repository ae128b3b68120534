"""How a guest proves once that it is the one that was built, and learns its root key: pure code of both sides.

The guest's user data hold a one-time token and no key, since user data stay readable for the life of the machine.
The guest sends a fresh X25519 share under an HMAC of the token. The control plane burns the token, then answers with a
share of its own and the `Admission` sealed under both. Only who knew the token could make the request, and only who
knew it could make the answer; whoever reads the token later can open neither.

    request: `ME` | version 1 | type 1 | epoch 4 | instance 16 | share 32 | length 1, server id | HMAC-SHA256 32
    answer:  `ME` | version 1 | type 2 | epoch 4 | instance 16 | share 32 | AES-256-GCM(Admission as MessagePack)
"""

import hmac
from hashlib import sha256
from struct import Struct
from typing import Final, Literal
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from muniment.bus.suite import ROOT_KEY_BYTES
from muniment.secret import Secret

__all__ = [
    "ANSWER_BYTES_MAX",
    "REQUEST_BYTES_MAX",
    "TOKEN_BYTES",
    "Admission",
    "EnrolmentError",
    "Enrolling",
    "Request",
    "answer_request",
    "check_proof",
    "read_request",
]

TOKEN_BYTES: Final = 32
_HEAD: Final = Struct(">2sBBI16s32s")
_MAGIC: Final = b"ME"
_VERSION: Final = 1
_REQUEST, _ANSWER = 1, 2
_MAC_BYTES: Final = 32
_SERVER_ID_BYTES_MAX: Final = 255
_NONCE: Final = bytes(12)
"""The answer's key serves this one answer, so its nonce need not vary."""
_LABEL: Final = b"muniment/enrol/v1"

REQUEST_BYTES_MAX: Final = _HEAD.size + 1 + _SERVER_ID_BYTES_MAX + _MAC_BYTES
ANSWER_BYTES_MAX: Final = 64 * 1024

EnrolmentReason = Literal["malformed", "not_authentic", "not_open", "already_used"]


class EnrolmentError(Exception):
    """An enrolment failed. `reason` is a fixed word, safe to log and to use as a metric label."""

    def __init__(self, reason: EnrolmentReason) -> None:
        """Say why."""
        super().__init__(reason)
        self.reason = reason


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """What an admitted guest learns, once."""

    root_key: Secret
    bearer: Secret
    """The password of this instance at the gateway; it only decides whose queue is opened."""
    server_time_ms: int
    """The control plane's time: a guest has no trustworthy clock at its first boot."""
    incarnation: int
    settings: dict[str, str] = {}
    """The agent's configuration."""
    bundle_sha256: str = ""
    """Digest of the wheels that hold the driver's guest half; empty where they are installed already."""


class Request(msgspec.Struct, frozen=True):
    """A guest's request as it was sent, not yet proven."""

    instance_id: UUID
    key_epoch: int
    public_key: bytes
    server_id: str
    """The id the cloud gave the machine that asks, by its own word."""
    raw: bytes

    @property
    def digest(self) -> bytes:
        """SHA-256 of the request's bytes: a repeated request is known by it."""
        return sha256(self.raw).digest()


class Enrolling:
    """The guest's side of one enrolment. Keep it until the answer is there: another request is another guest."""

    def __init__(
        self,
        instance_id: UUID,
        key_epoch: int,
        token: Secret,
        server_id: str,
        private_key: X25519PrivateKey | None = None,
    ) -> None:
        """Make the request; `private_key` is drawn from the operating system unless given."""
        self.private_key = private_key or X25519PrivateKey.generate()
        self._token = token
        name = server_id.encode()
        if len(name) > _SERVER_ID_BYTES_MAX:
            raise ValueError(f"a server id has at most {_SERVER_ID_BYTES_MAX} bytes")
        share = self.private_key.public_key().public_bytes_raw()
        head = _HEAD.pack(_MAGIC, _VERSION, _REQUEST, key_epoch, instance_id.bytes, share)
        proven = head + len(name).to_bytes(1) + name
        self.request = proven + _mac(token, proven)
        """The bytes to send, and to send again until an answer comes."""

    def open(self, answer: object) -> Admission:
        """Read the answer. Only who knew the token can have made it, so this also authenticates the control plane.

        Raises:
            EnrolmentError: for whatever else `answer` may be.
        """
        if type(answer) is not bytes or not _HEAD.size < len(answer) <= ANSWER_BYTES_MAX:
            raise EnrolmentError("malformed")
        head, sealed = answer[: _HEAD.size], answer[_HEAD.size :]
        magic, version, kind, *_, share = _HEAD.unpack(head)
        if (magic, version, kind) != (_MAGIC, _VERSION, _ANSWER) or head[4:24] != self.request[4:24]:
            raise EnrolmentError("malformed")
        key = _answer_key(self.private_key, share, self._token, self.request, head)
        try:
            return _decoder.decode(key.decrypt(_NONCE, sealed, head))
        except InvalidTag:
            raise EnrolmentError("not_authentic") from None
        except msgspec.MsgspecError:
            raise EnrolmentError("malformed") from None


def read_request(data: object) -> Request:
    """Take a request apart; nothing in it is proven yet.

    Raises:
        EnrolmentError: `malformed`.
    """
    shortest = _HEAD.size + 1 + _MAC_BYTES
    if type(data) is not bytes or not shortest <= len(data) <= REQUEST_BYTES_MAX:
        raise EnrolmentError("malformed")
    magic, version, kind, epoch, instance, share = _HEAD.unpack_from(data)
    name = data[_HEAD.size + 1 : -_MAC_BYTES]
    if (magic, version, kind) != (_MAGIC, _VERSION, _REQUEST) or not epoch or len(name) != data[_HEAD.size]:
        raise EnrolmentError("malformed")
    try:
        return Request(UUID(bytes=instance), epoch, share, name.decode(), data)
    except UnicodeDecodeError:
        raise EnrolmentError("malformed") from None


def check_proof(request: Request, token: Secret) -> None:
    """Whether the request was made by a holder of the token; compared in constant time.

    Raises:
        EnrolmentError: `not_authentic`.
    """
    if not hmac.compare_digest(_mac(token, request.raw[:-_MAC_BYTES]), request.raw[-_MAC_BYTES:]):
        raise EnrolmentError("not_authentic")


def answer_request(
    request: Request, token: Secret, admission: Admission, private_key: X25519PrivateKey | None = None
) -> bytes:
    """Seal the admission for the guest that made this proven request.

    Keep the bytes and give the same ones to the same request again. `private_key` is for tests alone.

    Raises:
        EnrolmentError: `malformed`, when the guest's share is no point that yields a secret.
    """
    assert len(admission.root_key.reveal()) == ROOT_KEY_BYTES, "a root key has 32 bytes"
    own = private_key or X25519PrivateKey.generate()
    share = own.public_key().public_bytes_raw()
    head = _HEAD.pack(_MAGIC, _VERSION, _ANSWER, request.key_epoch, request.instance_id.bytes, share)
    key = _answer_key(own, request.public_key, token, request.raw, head)
    return head + key.encrypt(_NONCE, _encoder.encode(admission), head)


def _mac(token: Secret, proven: bytes) -> bytes:
    return hmac.digest(token.reveal(), _LABEL + proven, "sha256")


def _answer_key(own: X25519PrivateKey, other: bytes, token: Secret, request: bytes, head: bytes) -> AESGCM:
    """The key of one answer: from both shares and the token, bound to the request and to the answer's head."""
    try:
        shared = own.exchange(X25519PublicKey.from_public_bytes(other))
    except ValueError:
        # A share of low order would make the secret known to everybody; the library refuses it.
        raise EnrolmentError("malformed") from None
    info = _LABEL + sha256(request).digest() + sha256(head).digest()
    return AESGCM(HKDF(SHA256(), 32, token.reveal(), info).derive(shared))


def _to_wire(value: object) -> bytes:
    assert isinstance(value, Secret), f"no form on the wire for {type(value)}"
    return value.reveal()


def _from_wire(kind: type, value: object) -> Secret:
    if kind is not Secret or not isinstance(value, bytes):
        raise ValueError("a secret travels as bytes")
    return Secret(value)


_encoder = msgspec.msgpack.Encoder(enc_hook=_to_wire)
_decoder = msgspec.msgpack.Decoder(Admission, dec_hook=_from_wire)
