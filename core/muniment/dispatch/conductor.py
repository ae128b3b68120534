"""The conductor: what guests say becomes signals, events and answers, each once.

One letter is one save: its effect, the moved window and the letter's receipt together. A letter that comes again after
a crash has had all of that or nothing. What is not authentic is counted and dropped; it is never stored.
"""

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final
from uuid import UUID, uuid4

import msgspec
import structlog

from muniment.bus.enrolment import EnrolmentError, read_request
from muniment.bus.envelope import EnvelopeError, Kind, Message, open_envelope
from muniment.bus.keyring import Keyring
from muniment.bus.suite import Direction
from muniment.bus.transport import Letter, LetterKind
from muniment.bus.window import Window
from muniment.clock import Clock, seconds
from muniment.contract.messages import decode_from_guest
from muniment.dispatch.admitting import Admitting
from muniment.dispatch.guest_keys import GuestKeys
from muniment.dispatch.hearing import Effect, Hearing
from muniment.dispatch.mail import Mail
from muniment.domain.event import About, Event
from muniment.fault import Fault
from muniment.secret import Secret
from muniment.secrets.vault import Vault
from muniment.store.chain import BrokenChain
from muniment.store.conflict import Conflict
from muniment.store.ledger import Ledger
from muniment.store.reader import Reader
from muniment.store.state import WindowRow
from muniment.store.writes import CloseEnrolment, SaveWindow, SeenAt, Write

__all__ = ["Conductor"]

log = structlog.get_logger(__name__)

_ACTOR: Final = "conductor"
_FROM_GUEST: Final = "to_control"
_KINDS: Final = frozenset({Kind.REPLY, Kind.REPORT, Kind.HEARTBEAT})
"""What a guest says now; an exchange of root keys (`Kind.ROTATE`) would be heard here too."""
_TRIES: Final = 10
"""Other writers of an instance's stream may be faster a few times in a row; a letter that met more is taken up again."""


class Conductor:
    """Takes letters from `mail`. Synchronous and without a thread of its own: a role's loop calls `run_once`."""

    def __init__(
        self,
        ledger: Ledger,
        vault: Vault,
        mail: Mail,
        clock: Clock,
        *,
        incarnation: int = 1,
        agent_settings: Mapping[str, str] | None = None,
        new_id: Callable[[], UUID] = uuid4,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """`incarnation` is the control plane's session number; `agent_settings` go to every agent that enrols."""
        self._ledger = ledger
        self._mail = mail
        self._clock = clock
        self._new_id = new_id
        self._guest_keys = GuestKeys(vault)
        self._keyring = Keyring(self._root)
        self._hearing = Hearing(vault, self._guest_keys)
        self._admitting = Admitting(
            self._guest_keys, incarnation=incarnation, settings=agent_settings or {}, random=random
        )
        self.rejected: Counter[str] = Counter()
        """Letters dropped, by reason; a bounded set of words."""

    def run_once(self, limit: int = 100) -> int:
        """Deal with at most `limit` letters; how many there were.

        Raises:
            Fault: the store or the transport cannot be used now; what was not dealt with comes again.
        """
        letters = self._mail.receive(limit)
        for letter in letters:
            self._deal_with(letter)
        return len(letters)

    def _deal_with(self, letter: Letter) -> None:
        """One letter, whose failure must not hold up those behind it."""
        try:
            if letter.kind is LetterKind.ENROLMENT:
                self._enrolment(letter)
            else:
                self._envelope(letter)
        except Conflict:
            log.info("letter left for the next round", kind=letter.kind)
        except (EnvelopeError, EnrolmentError) as error:
            self._reject(letter, error.reason)
        except Fault as fault:
            if fault.retryable:
                raise
            log.error("letter cannot be dealt with", kind=letter.kind, reason=fault.message)
            self._reject(letter, "fault")
        except BrokenChain as broken:
            log.error(broken.advice, kind=letter.kind)
            self._reject(letter, "broken_history")
        except Exception:
            # A message that trips a bug of ours would otherwise come first for ever, and stop all guests.
            log.exception("letter trips a bug", kind=letter.kind)
            self._reject(letter, "bug")

    # -- envelopes -----------------------------------------------------------------------------------------------------

    def _envelope(self, letter: Letter) -> None:
        now_ms = int(seconds(self._clock.now()) * 1000)
        message = open_envelope(letter.data, self._keyring, Direction.TO_CONTROL, now_ms=now_ms)
        batch = self._new_id()
        for left in reversed(range(_TRIES)):
            with self._ledger.reading() as reader:
                if not self._guest_keys.is_known(reader, message.instance_id, message.epoch):
                    # Deleted by another process since our keyring looked.
                    raise EnvelopeError("unknown_key")
                row = reader.window(message.instance_id, _FROM_GUEST)
                window = Window.from_bytes(row.state) if row is not None else Window()
                gap = window.check(message)
                effect = self._effect(reader, message)
            try:
                self._save(letter, effect, _moved(message, row, window), batch)
            except Conflict:
                if left == 0:
                    raise
                continue
            if gap:
                log.debug("messages of a guest skipped", instance_id=str(message.instance_id), skipped=gap)
            return

    def _effect(self, reader: Reader, message: Message) -> Effect:
        now_s = seconds(self._clock.now())
        try:
            if message.kind not in _KINDS:
                raise msgspec.ValidationError(f"a guest does not send a {message.kind.name.lower()}")
            effect = self._hearing.hear(reader, message, decode_from_guest(message.body), now_s)
        except msgspec.MsgspecError as error:
            # Authentic, so it counts as heard; but it says nothing that we understand.
            log.warning("guest not understood", instance_id=str(message.instance_id), reason=str(error)[:200])
            self.rejected["undecodable"] += 1
            effect = Effect(writes=[SeenAt(message.instance_id, now_s)])
        enrolment = reader.enrolment(message.instance_id)
        if enrolment is not None and enrolment.answer is not None and enrolment.key_epoch == message.epoch:
            # The guest has its key, or it could not have sealed this: the recorded answer has done its work.
            effect.writes.append(CloseEnrolment(message.instance_id, message.epoch))
        return effect

    # -- enrolment -----------------------------------------------------------------------------------------------------

    def _enrolment(self, letter: Letter) -> None:
        request = read_request(letter.data)
        batch = self._new_id()
        for left in reversed(range(_TRIES)):
            with self._ledger.reading() as reader:
                admitted = self._admitting.admit(reader, request, seconds(self._clock.now()))
            effect = Effect(admitted.project_id, list(admitted.events), list(admitted.writes))
            try:
                self._save(letter, effect, (), batch)
            except Conflict:
                if left == 0:
                    raise
                continue
            self._keyring.forget(request.instance_id)
            self._mail.answer(request.digest, admitted.answer)
            return

    # -- saving --------------------------------------------------------------------------------------------------------

    def _save(self, letter: Letter, effect: Effect, window: Sequence[Write], batch: UUID) -> None:
        events: Sequence[Event] = effect.events
        about = About(project_id=effect.project_id, actor=_ACTOR)
        writes = [*effect.writes, *window, *self._mail.receipt(letter)]
        self._ledger.save(events, about, writes=writes, batch=batch)
        self._mail.done(letter)

    def _reject(self, letter: Letter, reason: str) -> None:
        """Drop and count a letter. Nothing of it is logged but the reason: an attacker may have written the rest."""
        try:
            if receipt := self._mail.receipt(letter):
                self._ledger.save([], About(project_id="", actor=_ACTOR), writes=receipt)
        except Conflict:
            # Another conductor dealt with it, which is also why it may look replayed here.
            return
        self._mail.done(letter)
        self.rejected[reason] += 1
        # A repetition is what a careful transport does; anything else, somebody should look at.
        (log.debug if reason == "replayed" else log.warning)(
            "letter dropped", kind=letter.kind, reason=reason
        )

    def _root(self, instance_id: UUID, key_epoch: int) -> Secret | None:
        with self._ledger.reading() as reader:
            return self._guest_keys.root(reader, instance_id, key_epoch)


def _moved(message: Message, row: WindowRow | None, window: Window) -> Sequence[Write]:
    """The write that keeps the window with the message in it, if nobody moved it meanwhile."""
    after = window.accept(message)
    return [SaveWindow(message.instance_id, _FROM_GUEST, after.session, after.to_bytes(), row)]
