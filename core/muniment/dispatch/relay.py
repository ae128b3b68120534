"""The relay: rows of the outbox become sealed commands on a transport.

Any relay may seal any row, and seal it again: session and sequence come from the row, so a second copy is the same
message to its guest. What was sent and not marked, after a crash, is sent twice; that is harmless.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from muniment.bus.envelope import LIFETIME_MS_MAX, Kind, seal_envelope
from muniment.bus.sealing import seal_secret
from muniment.bus.suite import Direction, DirectionKey
from muniment.clock import Clock, seconds
from muniment.contract.messages import Command, SealedSecret, encode
from muniment.dispatch.command_ids import command_id_of
from muniment.dispatch.guest_keys import GuestKeys
from muniment.dispatch.mail import Mail
from muniment.dispatch.operation_secrets import open_secret_row
from muniment.domain.event import About
from muniment.fault import Fault
from muniment.secret import Secret
from muniment.secrets.vault import Vault
from muniment.store.ledger import Ledger
from muniment.store.reader import Reader
from muniment.store.state import OutboxRow
from muniment.store.writes import MarkSent, WithdrawOutbox, Write

__all__ = ["Relay"]

log = structlog.get_logger(__name__)

_ABOUT: Final = About(project_id="", actor="relay")


@dataclass(frozen=True)
class _Parcel:
    """A row with all that is needed to seal it, opened for as long as that takes."""

    row: OutboxRow
    key: DirectionKey
    public_key: bytes
    secrets: dict[str, Secret]


class Relay:
    """Sends what is in the outbox. Synchronous and without a thread of its own: a role's loop calls `run_once`."""

    def __init__(
        self, ledger: Ledger, vault: Vault, mail: Mail, clock: Clock, *, incarnation: int = 1
    ) -> None:
        """`incarnation` is the control plane's session number, which only a restored control plane raises."""
        self._ledger = ledger
        self._vault = vault
        self._keys = GuestKeys(vault)
        self._mail = mail
        self._clock = clock
        self._incarnation = incarnation

    def run_once(self, limit: int = 500) -> int:
        """Send at most `limit` rows; how many were sent. Rows of guests that have not enrolled wait.

        Raises:
            Fault: the store or the transport cannot be used now; what was not sent stays.
        """
        now_s = seconds(self._clock.now())
        with self._ledger.reading() as reader:
            rows = reader.outbox_due(limit)
            late = [row for row in rows if row.deadline_s <= now_s]
            parcels = [
                parcel for row in rows if row.deadline_s > now_s and (parcel := self._pack(reader, row))
            ]
        if late:
            self._withdraw(late)
        return self._send(parcels) if parcels else 0

    def _pack(self, reader: Reader, row: OutboxRow) -> _Parcel | None:
        """Open what sealing the row takes; None when it cannot be sent (yet)."""
        epoch = self._keys.newest_epoch(reader, row.instance_id)
        if epoch is None:
            return None
        try:
            root = self._keys.root(reader, row.instance_id, epoch)
            public_key = self._keys.public_key(reader, row.instance_id, epoch)
            secrets = self._secrets(reader, row)
        except Fault as fault:
            log.error("command cannot be sealed", command_id=row.id, reason=fault.message)
            return None
        if root is None or public_key is None or secrets is None:
            return None
        key = DirectionKey(root, row.instance_id, epoch, Direction.TO_GUEST)
        return _Parcel(row, key, public_key, secrets)

    def _secrets(self, reader: Reader, row: OutboxRow) -> dict[str, Secret] | None:
        """The secrets that a command carries; None when one is gone, as it is once the operation has ended."""
        opened: dict[str, Secret] = {}
        for name, ref in row.secret_refs.items():
            secret_row = reader.secret(ref)
            if secret_row is None or secret_row.owner_operation_id != row.operation_id:
                log.warning("secret of a command is gone", command_id=row.id, name=name)
                return None
            opened[name] = open_secret_row(self._vault, secret_row)
        return opened

    def _send(self, parcels: Sequence[_Parcel]) -> int:
        writes: list[Write] = []
        sent, trouble = 0, None
        for parcel in parcels:
            try:
                posted = self._post(parcel)
            except Fault as fault:
                # What went out before is marked first, or all of it would go again at the next try.
                trouble = fault
                break
            writes += posted
            sent += bool(posted)
        if writes:
            self._ledger.save([], _ABOUT, writes=writes)
            self._mail.posted()
        if trouble is not None:
            raise trouble
        return sent

    def _post(self, parcel: _Parcel) -> Sequence[Write]:
        """Seal and post one; the writes that say so, none when its deadline has passed by now."""
        now_s = seconds(self._clock.now())
        row = parcel.row
        if row.deadline_s <= now_s:
            return ()
        sealed = self._seal(parcel, int(now_s * 1000))
        return [*self._mail.post(row.instance_id, sealed, expires_s=row.deadline_s), MarkSent(row.id, now_s)]

    def _seal(self, parcel: _Parcel, now_ms: int) -> bytes:
        row = parcel.row
        # A job may have longer than a message may live; an agent that is out of reach for a day is asked instead.
        deadline_ms = min(int(row.deadline_s * 1000), now_ms + LIFETIME_MS_MAX)
        return seal_envelope(
            encode(_command(parcel)),
            parcel.key,
            Kind.COMMAND,
            session=self._incarnation,
            sequence=row.sequence,
            issued_ms=now_ms,
            expires_ms=max(deadline_ms, now_ms + 1),
        )

    def _withdraw(self, late: Sequence[OutboxRow]) -> None:
        """Nobody waits for these any more. Their operations see the deadline pass by themselves."""
        log.info("commands past their deadline", count=len(late))
        self._ledger.save([], _ABOUT, writes=[WithdrawOutbox(tuple(row.id for row in late))])


def _command(parcel: _Parcel) -> Command:
    row = parcel.row
    command_id = command_id_of(row.id)
    return Command(
        command_id=command_id,
        op=row.op,
        op_version=row.op_version,
        instance_epoch=row.instance_epoch,
        set_epoch=row.set_epoch,
        args=row.args,
        secrets=tuple(
            SealedSecret(
                name=name,
                sealed=seal_secret(secret, parcel.public_key, command_id=command_id, name=name),
            )
            for name, secret in parcel.secrets.items()
        ),
    )
