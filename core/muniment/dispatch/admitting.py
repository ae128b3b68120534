"""The control plane's answer to a guest that wants to enrol: who is let in, and what that saves."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from muniment.bus.enrolment import (
    Admission,
    EnrolmentError,
    Request,
    answer_request,
    check_proof,
)
from muniment.bus.suite import ROOT_KEY_BYTES
from muniment.dispatch.guest_keys import GuestKeys
from muniment.domain.event import Event
from muniment.domain.guest import enrolled
from muniment.domain.instance import INSTANCE, Instance
from muniment.secret import Secret
from muniment.store.reader import Reader
from muniment.store.state import EnrolmentRow
from muniment.store.writes import AnswerEnrolment, Poke, SeenAt, Write

__all__ = ["Admitted", "Admitting"]

_BEARER_BYTES: Final = 32


@dataclass(frozen=True)
class Admitted:
    """The answer to give, once the events and writes are saved; without any, it was saved before."""

    answer: bytes
    project_id: str = ""
    events: tuple[Event, ...] = ()
    writes: tuple[Write, ...] = ()


class Admitting:
    """Decides on enrolment requests."""

    def __init__(
        self,
        keys: GuestKeys,
        *,
        incarnation: int,
        settings: Mapping[str, str],
        random: Callable[[int], bytes],
    ) -> None:
        """`settings` go to every agent; `random` gives that many unpredictable bytes."""
        self._keys = keys
        self._incarnation = incarnation
        self._settings = dict(settings)
        self._random = random

    def admit(self, reader: Reader, request: Request, now_s: float) -> Admitted:
        """Let a guest in: burns the token, makes the root key, names the server in the instance's stream.

        A request that was answered gets the same bytes again.

        Raises:
            EnrolmentError: it is not let in.
        """
        row = reader.enrolment(request.instance_id)
        if row is None or row.key_epoch != request.key_epoch or row.expires_s <= now_s:
            raise EnrolmentError("not_open")
        if row.answer is not None:
            return _answered_before(row, request)
        token = self._keys.token_of(row)
        check_proof(request, token)
        instance = reader.load(INSTANCE, request.instance_id)
        events = () if instance is None else enrolled(instance, request.server_id, request.key_epoch)
        if instance is None or not events:
            raise EnrolmentError("not_open")
        return self._new(request, token, instance, tuple(events), now_s)

    def _new(
        self, request: Request, token: Secret, instance: Instance, events: tuple[Event, ...], now_s: float
    ) -> Admitted:
        admission = Admission(
            root_key=Secret(self._random(ROOT_KEY_BYTES)),
            bearer=Secret(self._random(_BEARER_BYTES).hex()),
            server_time_ms=int(now_s * 1000),
            incarnation=self._incarnation,
            settings=self._settings,
        )
        share = X25519PrivateKey.from_private_bytes(self._random(32))
        answer = answer_request(request, token, admission, share)
        name, epoch = request.instance_id, request.key_epoch
        writes = (
            AnswerEnrolment(name, epoch, request.digest, answer),
            *self._keys.admit(name, epoch, admission.root_key, admission.bearer, request.public_key),
            SeenAt(name, now_s),
            *(Poke(occupant.operation_id) for occupant in instance.occupants),
        )
        return Admitted(answer, instance.project_id, events, writes)


def _answered_before(row: EnrolmentRow, request: Request) -> Admitted:
    if row.request_digest != request.digest or row.answer is None:
        # Somebody else was here with the token: the build fails, as it should, and the log says why.
        raise EnrolmentError("already_used")
    return Admitted(row.answer)
