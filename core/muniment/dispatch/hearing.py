"""What an authentic message of a guest causes: pure reading of the store in, events and writes out.

The guest is the one whose key opened the envelope. Nothing here takes an instance from a message's body.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

import msgspec
import structlog

from muniment.bus.envelope import Message
from muniment.bus.sealing import PUBLIC_KEY_BYTES
from muniment.clock import moment
from muniment.contract.messages import Ack, Beat, FromGuest, Outcome, Progress, Verdict
from muniment.dispatch.command_ids import find_row
from muniment.dispatch.guest_keys import GuestKeys
from muniment.dispatch.replies import put_reply
from muniment.dispatch.signals import SignalKind, answer_signal, report_signal
from muniment.domain.event import Event
from muniment.domain.guest import health_beaten
from muniment.domain.instance import INSTANCE, Instance
from muniment.secrets.vault import Vault
from muniment.store.reader import Reader
from muniment.store.state import OutboxRow
from muniment.store.writes import Heard, Poke, ReportVolume, SeenAt, WithdrawOutbox, Write

__all__ = ["Effect", "Hearing"]

log = structlog.get_logger(__name__)


@dataclass
class Effect:
    """What to save because of a message."""

    project_id: str = ""
    events: list[Event] = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)


class Hearing:
    """Turns one message into its effect."""

    def __init__(self, vault: Vault, keys: GuestKeys) -> None:
        """`vault` seals replies, `keys` keeps what guests show."""
        self._vault = vault
        self._keys = keys

    def hear(self, reader: Reader, message: Message, said: FromGuest, now_s: float) -> Effect:
        """Decide what `said`, the body of `message`, causes. Every word of a guest shows that it lives."""
        effect = Effect(writes=[SeenAt(message.instance_id, now_s)])
        match said:
            case Outcome():
                self._outcome(effect, reader, message, said, now_s)
            case Ack():
                self._ack(effect, reader, message, said, now_s)
            case Progress():
                self._progress(effect, reader, message.instance_id, said.command_id, now_s)
            case Beat():
                self._beat(effect, reader, message, said, now_s)
        return effect

    def _outcome(self, effect: Effect, reader: Reader, message: Message, said: Outcome, now_s: float) -> None:
        """An answer counts when it names the unanswered command of its instance, or a question asked of that instance."""
        waiting = reader.unanswered(message.instance_id)
        if waiting is not None and waiting.command_id == said.command_id:
            effect.writes.append(answer_signal(waiting, SignalKind.OUTCOME, message.body, now_s))
            return
        row = find_row(reader.outbox_of(message.instance_id), said.command_id)
        if row is None:
            log.info(
                "answer not awaited", instance_id=str(message.instance_id), command_id=str(said.command_id)
            )
            return
        effect.writes += self._query_answered(row, message.body, now_s)

    def _query_answered(self, row: OutboxRow, body: bytes, now_s: float) -> Sequence[Write]:
        withdrawn = WithdrawOutbox((row.id,))
        if row.operation_id is None:
            return [put_reply(self._vault, row.id, body, now_s), withdrawn]
        if row.query_of is None:
            # A command that is no longer unanswered: answered before, or given up.
            return []
        return [report_signal(row, body, now_s), withdrawn]

    def _ack(self, effect: Effect, reader: Reader, message: Message, said: Ack, now_s: float) -> None:
        """A refusal is an answer; anything else shows that the command arrived."""
        waiting = reader.unanswered(message.instance_id)
        if waiting is None or waiting.command_id != said.command_id:
            return
        if said.verdict is Verdict.REJECTED:
            effect.writes.append(answer_signal(waiting, SignalKind.ACK, message.body, now_s))
        else:
            effect.writes.append(Heard(said.command_id, now_s))

    def _progress(
        self, effect: Effect, reader: Reader, instance_id: UUID, command_id: UUID, now_s: float
    ) -> None:
        waiting = reader.unanswered(instance_id)
        if waiting is not None and waiting.command_id == command_id:
            effect.writes.append(Heard(command_id, now_s))

    def _beat(self, effect: Effect, reader: Reader, message: Message, said: Beat, now_s: float) -> None:
        if said.rejected:
            log.warning(
                "guest refuses messages", instance_id=str(message.instance_id), rejected=said.rejected
            )
        if len(said.public_key) == PUBLIC_KEY_BYTES:
            effect.writes += self._shown(reader, message, said.public_key)
        if said.volume is not None:
            effect.writes.append(ReportVolume(message.instance_id, msgspec.json.encode(said.volume)))
        if said.health is not None:
            instance = reader.load(INSTANCE, message.instance_id)
            if instance is not None:
                self._health(effect, instance, said, now_s)

    def _shown(self, reader: Reader, message: Message, public_key: bytes) -> Sequence[Write]:
        """Keep a guest's new public key; it makes one at each start."""
        if self._keys.public_key(reader, message.instance_id, message.epoch) == public_key:
            return ()
        return [self._keys.show(message.instance_id, message.epoch, public_key)]

    def _health(self, effect: Effect, instance: Instance, said: Beat, now_s: float) -> None:
        assert said.health is not None
        effect.project_id = instance.project_id
        effect.events += health_beaten(instance, said.health.state, said.health.detail, moment(now_s))
        if effect.events:
            effect.writes += [Poke(occupant.operation_id) for occupant in instance.occupants]
