"""The agent's line to the control plane: it enrols once, then opens what comes and seals what goes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from muniment.bus.endpoint import Endpoint
from muniment.bus.enrolment import Enrolling, EnrolmentError
from muniment.bus.envelope import EnvelopeError, Kind, Message
from muniment.bus.keyring import Keyring
from muniment.bus.sealing import open_secret
from muniment.bus.suite import Direction
from muniment.bus.transport import GuestTransport
from muniment.bus.window import Replayed
from muniment.clock import Clock, seconds
from muniment.contract.errors import Code, GuestError, OpFailed
from muniment.contract.messages import (
    Ack,
    Beat,
    Command,
    FromGuest,
    Outcome,
    Progress,
    decode_command,
    encode,
)
from muniment.fault import Fault
from muniment.secret import Secret
from muniment_guest.identity import Identity, IdentityFiles

__all__ = ["Heard", "Link", "OffsetClock"]

log = structlog.get_logger()

_LIVES_MS: Final[Mapping[type[FromGuest], int]] = {
    Outcome: 3600_000,
    Ack: 3600_000,
    Progress: 60_000,
    Beat: 90_000,
}
_KINDS: Final[Mapping[type[FromGuest], Kind]] = {
    Outcome: Kind.REPLY,
    Ack: Kind.REPLY,
    Progress: Kind.REPORT,
    Beat: Kind.HEARTBEAT,
}


class OffsetClock:
    """The machine's clock, set right by what the control plane said when the agent enrolled."""

    def __init__(self, base: Clock) -> None:
        """Trust `base` until told otherwise."""
        self._base = base
        self.offset = timedelta()

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        return self._base.now() + self.offset


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was believed. Hand it to `Link.accept` once its effect is durable."""

    message: Message
    command: Command | None
    """None when it is authentic and makes no sense."""
    is_repeated: bool = False
    """Its effect is durable already; only a recorded answer may be sent again."""


class Link:
    """One agent's line."""

    def __init__(
        self,
        instance_id: UUID,
        key_epoch: int,
        server_id: str,
        transport: GuestTransport,
        files: IdentityFiles,
        clock: OffsetClock,
    ) -> None:
        """Speak over `transport`; call `enrol` until `is_enrolled`."""
        self._instance_id = instance_id
        self._key_epoch = key_epoch
        self._server_id = server_id
        self._transport = transport
        self._files = files
        self._clock = clock
        self._private_key = X25519PrivateKey.generate()
        self._enrolling: Enrolling | None = None
        self._endpoint: Endpoint | None = None
        self.rejected: Counter[str] = Counter()
        """Messages refused since the start, by the envelope's reason word."""
        identity = files.read()
        if identity is not None and identity.key_epoch == key_epoch:
            files.forget_token()
            self._take_up(identity)

    @property
    def is_enrolled(self) -> bool:
        """Whether the control plane knows this agent."""
        return self._endpoint is not None

    @property
    def public_key(self) -> bytes:
        """To whom secrets of commands are to be sealed. The private half is in memory only."""
        return self._private_key.public_key().public_bytes_raw()

    @property
    def last_sequence(self) -> int:
        """The highest sequence number heard."""
        return self._endpoint.window.high if self._endpoint is not None else 0

    def enrol(self, *, wait_s: float) -> bool:
        """Ask to be admitted; whether that has happened.

        Raises:
            Fault: the gateway cannot be reached, or there is nothing left to enrol with.
        """
        if self._enrolling is None:
            key = self._files.enrolling_key()
            self._enrolling = Enrolling(
                self._instance_id, self._key_epoch, self._files.token(), self._server_id, key
            )
        answer = self._transport.enrol(self._enrolling.request, wait_s=wait_s)
        if answer is None:
            return False
        try:
            admission = self._enrolling.open(answer)
        except EnrolmentError as error:
            raise Fault("gateway", f"the answer to the enrolment is {error.reason}") from error
        identity = Identity.of(admission, self._key_epoch, self._now_ms())
        # Commands may be sealed to the request's key already, so this run keeps it.
        self._private_key = self._enrolling.private_key
        self._enrolling = None
        self._files.write(identity)
        self._take_up(identity)
        log.info("agent enrolled", key_epoch=self._key_epoch)
        return True

    def receive(self, *, wait_s: float) -> Sequence[Heard]:
        """What came and is believed; the rest is counted and dropped.

        Raises:
            Fault: the gateway cannot be reached.
        """
        letters = self._transport.receive(wait_s=wait_s)
        return [heard for data in letters if (heard := self._open(data)) is not None]

    def accept(self, heard: Heard) -> None:
        """The effect is durable: the message counts as heard from now on."""
        if heard.is_repeated:
            return
        endpoint = self._live()
        try:
            endpoint.accept(heard.message)
        except EnvelopeError as error:
            # Twice in one batch: the first was accepted a moment ago.
            self.rejected[error.reason] += 1
            return
        self._files.write_window(endpoint.window)

    def say(self, said: FromGuest) -> None:
        """Send one message.

        Raises:
            Fault: it was not taken; say it again later.
        """
        self._transport.send(self._seal(said))

    def secrets_of(self, command: Command) -> Mapping[str, Secret]:
        """Open a command's secrets.

        Raises:
            OpFailed: `lost`, when they are sealed to a key of an earlier start of this agent.
        """
        try:
            return {
                secret.name: open_secret(
                    secret.sealed, self._private_key, command_id=command.command_id, name=secret.name
                )
                for secret in command.secrets
            }
        except EnvelopeError as error:
            message = (
                f"the command's secrets do not open ({error.reason}); the agent has a new key since its start"
            )
            raise OpFailed(Code.LOST, message, retryable=True) from error

    def _take_up(self, identity: Identity) -> None:
        self._clock.offset = timedelta(milliseconds=identity.clock_offset_ms)
        self._transport.authorise(identity.bearer)

        def root(instance_id: UUID, key_epoch: int) -> Secret | None:
            is_ours = (instance_id, key_epoch) == (self._instance_id, identity.key_epoch)
            return identity.root_key if is_ours else None

        self._endpoint = Endpoint(
            Keyring(root),
            self._instance_id,
            says=Direction.TO_CONTROL,
            epoch=identity.key_epoch,
            session=self._files.next_session(self._now_ms()),
            window=self._files.read_window(),
        )

    def _open(self, data: bytes) -> Heard | None:
        is_repeated = False
        try:
            message = self._live().open(data, now_ms=self._now_ms())
        except Replayed as replayed:
            message, is_repeated = replayed.message, True
            self.rejected[replayed.reason] += 1
        except EnvelopeError as error:
            self.rejected[error.reason] += 1
            log.warning("message dropped", reason=error.reason)
            return None
        return Heard(message=message, command=_command_in(message), is_repeated=is_repeated)

    def _seal(self, said: FromGuest) -> bytes:
        kind, lifetime_ms = _KINDS[type(said)], _LIVES_MS[type(said)]
        endpoint, now_ms = self._live(), self._now_ms()
        try:
            return endpoint.seal(kind, encode(said), now_ms=now_ms, lifetime_ms=lifetime_ms)
        except ValueError:
            return endpoint.seal(kind, encode(_too_large(said)), now_ms=now_ms, lifetime_ms=lifetime_ms)

    def _live(self) -> Endpoint:
        assert self._endpoint is not None, "enrol first"
        return self._endpoint

    def _now_ms(self) -> int:
        return int(seconds(self._clock.now()) * 1000)


def _command_in(message: Message) -> Command | None:
    if message.kind is not Kind.COMMAND:
        log.warning("message of a kind that this agent does not know", kind=message.kind.name)
        return None
    try:
        return decode_command(message.body)
    except msgspec.MsgspecError as error:
        log.error("command cannot be read", reason=str(error)[:200], sequence=message.sequence)
        return None


def _too_large(said: FromGuest) -> Outcome:
    """Instead of an answer that no envelope carries, such as a page of very many names."""
    assert isinstance(said, Outcome), type(said)
    error = GuestError(
        code=Code.RESOURCE_EXHAUSTED, message="the answer is too large for a message; ask for less"
    )
    return Outcome(
        command_id=said.command_id,
        ok=False,
        error=error,
        started_at=said.started_at,
        finished_at=said.finished_at,
    )
