"""What the control side keeps of its guests: enrolments, windows, bytes that wait on either side of the gateway."""

from typing import ClassVar
from uuid import UUID

from muniment.domain.refused import Refused
from muniment.store.conflict import Conflict
from muniment.store.state import Rank, WindowRow
from muniment.store.transaction import Transaction
from muniment.store.writes.write import Write

__all__ = [
    "AddDownlink",
    "AddInbox",
    "AnswerEnrolment",
    "CloseEnrolment",
    "ForgetGuest",
    "OpenEnrolment",
    "PutReply",
    "SaveWindow",
    "SeenAt",
    "ReportVolume",
    "StillSilent",
    "TakeDownlink",
    "TakeInbox",
    "TakeReply",
    "WithdrawToken",
]


class _InstanceWrite(Write, frozen=True):
    """A write of one instance's row."""

    instance_id: UUID

    def row_key(self) -> str:
        return str(self.instance_id)


class OpenEnrolment(_InstanceWrite, frozen=True):
    """Let the guest of an instance enrol once with this token; an earlier enrolment of the instance is replaced."""

    RANK: ClassVar[Rank] = Rank.ENROLMENTS

    key_epoch: int
    sealed_token: bytes
    expires_s: float

    def apply(self, tx: Transaction) -> None:
        statement = """INSERT INTO enrolments (instance_id, key_epoch, sealed_token, expires_s)
            VALUES (:instance_id, :key_epoch, :sealed_token, :expires_s)
            ON CONFLICT (instance_id) DO UPDATE SET key_epoch = excluded.key_epoch,
                sealed_token = excluded.sealed_token, expires_s = excluded.expires_s,
                request_digest = NULL, answer = NULL"""
        tx.run(statement, self)


class AnswerEnrolment(_InstanceWrite, frozen=True):
    """Burn the token and keep the request's digest with its answer, so that a repeat gets the same bytes."""

    RANK: ClassVar[Rank] = Rank.ENROLMENTS

    key_epoch: int
    request_digest: bytes
    answer: bytes

    def apply(self, tx: Transaction) -> None:
        statement = """UPDATE enrolments
            SET sealed_token = NULL, request_digest = :request_digest, answer = :answer
            WHERE instance_id = :instance_id AND key_epoch = :key_epoch AND sealed_token IS NOT NULL
            RETURNING instance_id"""
        if tx.row(statement, self) is None:
            raise Conflict(
                f"the enrolment of instance {self.instance_id}, epoch {self.key_epoch}, is not open"
            )


class CloseEnrolment(_InstanceWrite, frozen=True):
    """Forget an enrolment: the first authentic message came, or its time is over."""

    RANK: ClassVar[Rank] = Rank.ENROLMENTS

    key_epoch: int

    def apply(self, tx: Transaction) -> None:
        tx.run("DELETE FROM enrolments WHERE instance_id = :instance_id AND key_epoch = :key_epoch", self)


class WithdrawToken(_InstanceWrite, frozen=True):
    """Let no guest enrol any more with a token that nobody has used; an enrolment that was answered stays."""

    RANK: ClassVar[Rank] = Rank.ENROLMENTS

    def apply(self, tx: Transaction) -> None:
        tx.run("DELETE FROM enrolments WHERE instance_id = :instance_id AND sealed_token IS NOT NULL", self)


class SaveWindow(_InstanceWrite, frozen=True):
    """Keep which messages were seen, if nobody else has since `before` (the row as read; None = there was none)."""

    RANK: ClassVar[Rank] = Rank.WINDOWS

    direction: str
    session: int
    state: bytes
    before: WindowRow | None

    def row_key(self) -> str:
        return f"{self.instance_id} {self.direction}"

    def apply(self, tx: Transaction) -> None:
        values: dict[str, object] = {
            "instance_id": self.instance_id,
            "direction": self.direction,
            "session": self.session,
            "state": self.state,
        }
        if self.before is None:
            statement = """INSERT INTO windows (instance_id, direction, session, state)
                VALUES (:instance_id, :direction, :session, :state)
                ON CONFLICT (instance_id, direction) DO NOTHING RETURNING session"""
        else:
            statement = """UPDATE windows SET session = :session, state = :state
                WHERE instance_id = :instance_id AND direction = :direction
                    AND session = :session_before AND state = :state_before RETURNING session"""
            values |= {"session_before": self.before.session, "state_before": self.before.state}
        if tx.row(statement, values) is None:
            raise Conflict(f"the {self.direction} window of instance {self.instance_id} moved")


class AddInbox(_InstanceWrite, frozen=True):
    """Bytes from a guest for the conductors. An instance may have at most `waiting_max` of them waiting."""

    RANK: ClassVar[Rank] = Rank.INBOX

    kind: str
    payload: bytes
    at_s: float
    waiting_max: int = 256

    def apply(self, tx: Transaction) -> None:
        statement = """INSERT INTO inbox (instance_id, kind, payload, at_s)
            SELECT :instance_id, :kind, :payload, :at_s
            WHERE (SELECT COUNT(*) FROM inbox WHERE instance_id = :instance_id) < :waiting_max RETURNING number"""
        if tx.row(statement, self) is None:
            raise Refused(
                "inbox-full",
                f"instance {self.instance_id} has {self.waiting_max} messages waiting",
                status=429,
            )


class TakeInbox(Write, frozen=True):
    """Remove what this save has dealt with; a Conflict if another conductor did so before."""

    RANK: ClassVar[Rank] = Rank.INBOX

    numbers: tuple[int, ...]

    def apply(self, tx: Transaction) -> None:
        for number in sorted(self.numbers):
            if (
                tx.row("DELETE FROM inbox WHERE number = :number RETURNING number", {"number": number})
                is None
            ):
                raise Conflict(f"inbox row {number} was taken by another")


class AddDownlink(_InstanceWrite, frozen=True):
    """Sealed bytes for the guest's next poll."""

    RANK: ClassVar[Rank] = Rank.DOWNLINKS

    payload: bytes
    expires_s: float

    def apply(self, tx: Transaction) -> None:
        statement = """INSERT INTO downlinks (instance_id, payload, expires_s)
            VALUES (:instance_id, :payload, :expires_s)"""
        tx.run(statement, self)


class TakeDownlink(Write, frozen=True):
    """Remove what the guest has confirmed."""

    RANK: ClassVar[Rank] = Rank.DOWNLINKS

    numbers: tuple[int, ...]

    def apply(self, tx: Transaction) -> None:
        for number in sorted(self.numbers):
            tx.run("DELETE FROM downlinks WHERE number = :number", {"number": number})


class PutReply(Write, frozen=True):
    """The sealed answer of a live query, for the request that waits for it."""

    RANK: ClassVar[Rank] = Rank.REPLIES

    query_id: str
    sealed: bytes
    expires_s: float

    def row_key(self) -> str:
        return str(self.query_id)

    def apply(self, tx: Transaction) -> None:
        statement = """INSERT INTO replies (query_id, sealed, expires_s) VALUES (:query_id, :sealed, :expires_s)
            ON CONFLICT (query_id) DO NOTHING"""
        tx.run(statement, self)


class TakeReply(Write, frozen=True):
    """Remove an answer that was given."""

    RANK: ClassVar[Rank] = Rank.REPLIES

    query_id: str

    def row_key(self) -> str:
        return str(self.query_id)

    def apply(self, tx: Transaction) -> None:
        tx.run("DELETE FROM replies WHERE query_id = :query_id", self)


class SeenAt(_InstanceWrite, frozen=True):
    """A guest was heard of. Not an event; a change of its health is."""

    RANK: ClassVar[Rank] = Rank.SEEN

    at_s: float

    def apply(self, tx: Transaction) -> None:
        statement = """INSERT INTO seen (instance_id, at_s) VALUES (:instance_id, :at_s)
            ON CONFLICT (instance_id) DO UPDATE SET at_s = excluded.at_s WHERE seen.at_s < excluded.at_s"""
        tx.run(statement, self)


class ReportVolume(_InstanceWrite, frozen=True):
    """Keep what a guest reported of its data volume: JSON of the contract's `VolumeFacts`."""

    RANK: ClassVar[Rank] = Rank.SEEN

    facts: bytes

    def apply(self, tx: Transaction) -> None:
        statement = """INSERT INTO volume_reports (instance_id, facts) VALUES (:instance_id, :facts)
            ON CONFLICT (instance_id) DO UPDATE SET facts = excluded.facts"""
        tx.run(statement, self)


class StillSilent(_InstanceWrite, frozen=True):
    """Guard: the guest has not been heard of since `before_s`; a Conflict if it has."""

    RANK: ClassVar[Rank] = Rank.SEEN

    before_s: float

    def apply(self, tx: Transaction) -> None:
        # An update to the same value, since it must hold the row until the end of the save.
        statement = """UPDATE seen SET at_s = at_s
            WHERE instance_id = :instance_id AND at_s < :before_s RETURNING instance_id"""
        if tx.row(statement, self) is None:
            raise Conflict(f"the guest of instance {self.instance_id} has been heard of")


class ForgetGuest(_InstanceWrite, frozen=True):
    """Drop what is kept of a guest that is gone: its enrolment, windows, waiting bytes, and when it was heard of."""

    RANK: ClassVar[Rank] = Rank.ENROLMENTS

    def apply(self, tx: Transaction) -> None:
        for table in ("enrolments", "windows", "downlinks", "outbox_sequences", "seen", "volume_reports"):
            tx.run(f"DELETE FROM {table} WHERE instance_id = :instance_id", self)  # noqa: S608 - constants
