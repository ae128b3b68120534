"""The control plane's side of one conversation: admits the agent, seals for it, opens what it says."""

import os
import secrets
from typing import Final
from uuid import UUID

from muniment.bus.endpoint import Endpoint
from muniment.bus.enrolment import TOKEN_BYTES, Admission, answer_request, check_proof, read_request
from muniment.bus.envelope import EnvelopeError, Kind
from muniment.bus.keyring import Keyring
from muniment.bus.sealing import seal_secret
from muniment.bus.suite import ROOT_KEY_BYTES, Direction
from muniment.clock import Clock, seconds
from muniment.contract.messages import Command, FromGuest, SealedSecret, decode_from_guest, encode
from muniment.secret import Secret

__all__ = ["KEY_EPOCH", "ControlSide"]

KEY_EPOCH: Final = 1
_ISSUED_BEFORE_MS: Final = 60_000
"""Of a command that is to arrive after its time."""


class ControlSide:
    """Keys and numbers of one instance."""

    def __init__(self, instance_id: UUID, clock: Clock) -> None:
        """Draw a token, a root key and a password for the gateway."""
        self.token = Secret(os.urandom(TOKEN_BYTES))
        self.bearer = secrets.token_urlsafe(24)
        self.public_key = b""
        """The agent's newest, to which secrets are sealed."""
        self._clock = clock
        self._root = Secret(os.urandom(ROOT_KEY_BYTES))
        self._answers: dict[bytes, bytes] = {}
        known = (instance_id, KEY_EPOCH)
        keys = Keyring(
            lambda instance_id, key_epoch: self._root if (instance_id, key_epoch) == known else None
        )
        self._endpoint = Endpoint(keys, instance_id, says=Direction.TO_GUEST, epoch=KEY_EPOCH, session=1)

    def admit(self, data: bytes) -> bytes:
        """Answer an enrolment request; the same request gets the same bytes, another one none."""
        request = read_request(data)
        check_proof(request, self.token)
        if request.digest not in self._answers:
            assert not self._answers, "the token was used already"
            admission = Admission(
                root_key=self._root,
                bearer=Secret(self.bearer),
                server_time_ms=self._now_ms(),
                incarnation=1,
            )
            self._answers[request.digest] = answer_request(request, self.token, admission)
            self.public_key = request.public_key
        return self._answers[request.digest]

    def seal(self, command: Command, values: dict[str, Secret], *, lifetime_s: float) -> bytes:
        """An envelope with the command and its secrets; with a negative lifetime one that has expired."""
        sealed = tuple(
            SealedSecret(
                name=name,
                sealed=seal_secret(value, self.public_key, command_id=command.command_id, name=name),
            )
            for name, value in values.items()
        )
        whole = Command(
            command_id=command.command_id,
            op=command.op,
            op_version=command.op_version,
            instance_epoch=command.instance_epoch,
            set_epoch=command.set_epoch,
            args=command.args,
            secrets=sealed,
        )
        expires_ms = self._now_ms() + int(lifetime_s * 1000)
        issued_ms = min(self._now_ms(), expires_ms - _ISSUED_BEFORE_MS)
        return self._endpoint.seal(
            Kind.COMMAND, encode(whole), now_ms=issued_ms, lifetime_ms=expires_ms - issued_ms
        )

    def open(self, data: bytes) -> FromGuest | None:
        """What the agent said; None for what was heard before, or waited too long to be heard."""
        try:
            message = self._endpoint.open(data, now_ms=self._now_ms())
        except EnvelopeError as error:
            if error.reason in ("replayed", "expired"):
                return None
            raise
        self._endpoint.accept(message)
        return decode_from_guest(message.body)

    def _now_ms(self) -> int:
        return int(seconds(self._clock.now()) * 1000)
