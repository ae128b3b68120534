"""The complete list of state tables: all that is true besides the events, written in the events' transaction.

Ids are text, moments are seconds since 1970, keys and envelopes are bytes. The words of the statements here serve
SQLite as they stand; `for_postgres` is their one translation. No meaning hangs on an implicit row id; small rows with
a key of text do without one, which spares a page in every save.
"""

import re
from enum import IntEnum
from uuid import UUID

import msgspec

__all__ = [
    "DownlinkRow",
    "EnrolmentRow",
    "AnswerRow",
    "InboxRow",
    "KeyRow",
    "OutboxRow",
    "QueueRow",
    "Rank",
    "ReplyRow",
    "SCHEMA_VERSION",
    "SecretRow",
    "SignalRow",
    "TABLES",
    "UnansweredRow",
    "WindowRow",
    "for_postgres",
]

SCHEMA_VERSION = 1
"""What `open` expects to find; another number is another release's database."""

TABLES = (
    "CREATE TABLE schema_version (version BIGINT NOT NULL)",
    # The log. `position` is drawn in commit order and never again, also after the last row was deleted.
    """CREATE TABLE events (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        originator_id TEXT NOT NULL,
        originator_version BIGINT NOT NULL,
        topic TEXT NOT NULL,
        state BLOB NOT NULL,
        previous BLOB NOT NULL,
        digest BLOB NOT NULL,
        UNIQUE (originator_id, originator_version))""",
    # Operations to drive. done_at_s is empty until the end; claim_no is the fence.
    """CREATE TABLE queue (
        operation_id TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        due_s DOUBLE PRECISION NOT NULL,
        lease_until_s DOUBLE PRECISION NOT NULL DEFAULT 0,
        owner TEXT NOT NULL DEFAULT '',
        claim_no BIGINT NOT NULL DEFAULT 0,
        pokes BIGINT NOT NULL DEFAULT 0,
        done_at_s DOUBLE PRECISION) WITHOUT ROWID""",
    "CREATE INDEX queue_due ON queue (due_s) WHERE done_at_s IS NULL",
    # What reached an operation from outside and is not yet an event. An empty command_id is a cancel.
    """CREATE TABLE signals (
        id TEXT PRIMARY KEY,
        operation_id TEXT NOT NULL,
        command_id TEXT,
        kind TEXT NOT NULL,
        payload BLOB NOT NULL,
        at_s DOUBLE PRECISION NOT NULL)""",
    "CREATE INDEX signals_operation ON signals (operation_id)",
    # At most one mutating command of an instance waits for its answer.
    """CREATE TABLE unanswered (
        instance_id TEXT PRIMARY KEY,
        command_id TEXT NOT NULL UNIQUE,
        operation_id TEXT NOT NULL,
        heard_at_s DOUBLE PRECISION) WITHOUT ROWID""",
    "CREATE INDEX unanswered_operation ON unanswered (operation_id)",
    # Commands and queries on their way to a guest; `sequence` is the message number of the envelope.
    """CREATE TABLE outbox (
        id TEXT PRIMARY KEY,
        operation_id TEXT,
        instance_id TEXT NOT NULL,
        op TEXT NOT NULL,
        op_version BIGINT NOT NULL,
        args BLOB NOT NULL,
        secret_refs BLOB NOT NULL,
        instance_epoch BIGINT NOT NULL,
        set_epoch BIGINT NOT NULL,
        deadline_s DOUBLE PRECISION NOT NULL,
        query_of TEXT,
        sequence BIGINT NOT NULL,
        added_at_s DOUBLE PRECISION NOT NULL,
        sent_at_s DOUBLE PRECISION)""",
    "CREATE INDEX outbox_due ON outbox (added_at_s) WHERE sent_at_s IS NULL",
    "CREATE INDEX outbox_operation ON outbox (operation_id)",
    "CREATE TABLE outbox_sequences (instance_id TEXT PRIMARY KEY, last BIGINT NOT NULL) WITHOUT ROWID",
    # What a project has reserved or uses; the lock row makes its sums one at a time where writers run side by side.
    """CREATE TABLE reservations (
        operation_id TEXT NOT NULL,
        resource TEXT NOT NULL,
        subject_id TEXT NOT NULL,
        project_id TEXT NOT NULL,
        delta BIGINT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('reserved', 'committed', 'released')),
        PRIMARY KEY (operation_id, resource)) WITHOUT ROWID""",
    "CREATE INDEX reservations_project ON reservations (project_id, resource) WHERE state <> 'released'",
    "CREATE INDEX reservations_subject ON reservations (subject_id)",
    "CREATE TABLE reservation_locks (project_id TEXT PRIMARY KEY, taken BIGINT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE secrets (
        ref TEXT PRIMARY KEY,
        purpose TEXT NOT NULL,
        owner_operation_id TEXT NOT NULL,
        sealed BLOB NOT NULL,
        expires_s DOUBLE PRECISION NOT NULL)""",
    "CREATE INDEX secrets_operation ON secrets (owner_operation_id)",
    """CREATE TABLE keys (
        purpose TEXT NOT NULL,
        owner TEXT NOT NULL,
        epoch BIGINT NOT NULL,
        wrapped BLOB NOT NULL,
        PRIMARY KEY (purpose, owner, epoch)) WITHOUT ROWID""",
    # The token goes when it is used; then the row holds only that request and its answer.
    """CREATE TABLE enrolments (
        instance_id TEXT PRIMARY KEY,
        key_epoch BIGINT NOT NULL,
        sealed_token BLOB,
        expires_s DOUBLE PRECISION NOT NULL,
        request_digest BLOB,
        answer BLOB)""",
    """CREATE TABLE windows (
        instance_id TEXT NOT NULL,
        direction TEXT NOT NULL,
        session BIGINT NOT NULL,
        state BLOB NOT NULL,
        PRIMARY KEY (instance_id, direction)) WITHOUT ROWID""",
    # From the gateway to a conductor, and sealed bytes waiting for a guest's poll.
    """CREATE TABLE inbox (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        instance_id TEXT NOT NULL,
        kind TEXT NOT NULL,
        payload BLOB NOT NULL,
        at_s DOUBLE PRECISION NOT NULL)""",
    "CREATE INDEX inbox_instance ON inbox (instance_id)",
    """CREATE TABLE downlinks (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        instance_id TEXT NOT NULL,
        payload BLOB NOT NULL,
        expires_s DOUBLE PRECISION NOT NULL)""",
    "CREATE INDEX downlinks_instance ON downlinks (instance_id, number)",
    "CREATE TABLE replies (query_id TEXT PRIMARY KEY, sealed BLOB NOT NULL, expires_s DOUBLE PRECISION NOT NULL)",
    "CREATE TABLE seen (instance_id TEXT PRIMARY KEY, at_s DOUBLE PRECISION NOT NULL) WITHOUT ROWID",
    # What a guest last reported of its data volume; figures that change all the time are not events.
    "CREATE TABLE volume_reports (instance_id TEXT PRIMARY KEY, facts BLOB NOT NULL)",
    """CREATE TABLE answers (
        project_id TEXT NOT NULL,
        key TEXT NOT NULL,
        request_digest BLOB NOT NULL,
        sealed BLOB NOT NULL,
        expires_s DOUBLE PRECISION NOT NULL,
        PRIMARY KEY (project_id, key))""",
    # Every save by its id, so that one whose acknowledgement was lost is recognised.
    """CREATE TABLE batches (
        id TEXT PRIMARY KEY,
        at_s DOUBLE PRECISION NOT NULL,
        first_position BIGINT NOT NULL,
        last_position BIGINT NOT NULL) WITHOUT ROWID""",
)


class Rank(IntEnum):
    """The fixed order in which one save changes rows; every process locks in it, and so none waits in a circle.

    Rows that belong to an operation are changed under the lock of its queue row, rows of reservations under that of
    their project. Answers to commands are closed before new commands are opened. The append lock of the log comes last.
    """

    QUEUE = 1
    SIGNALS = 2
    ANSWERED = 3
    UNANSWERED = 4
    OUTBOX = 5
    RESERVATIONS = 6
    SECRETS = 7
    KEYS = 8
    ENROLMENTS = 9
    WINDOWS = 10
    INBOX = 11
    DOWNLINKS = 12
    REPLIES = 13
    SEEN = 14
    ANSWERS = 15
    UPKEEP = 16


class QueueRow(msgspec.Struct, frozen=True):
    """An operation in the queue."""

    operation_id: UUID
    kind: str
    due_s: float
    lease_until_s: float
    owner: str
    claim_no: int
    pokes: int
    done_at_s: float | None

    @property
    def is_done(self) -> bool:
        """Whether the operation has ended."""
        return self.done_at_s is not None


class SignalRow(msgspec.Struct, frozen=True, kw_only=True):
    """Something that reached an operation: the answer to a command, or (without command_id) a cancel."""

    id: UUID
    operation_id: UUID
    command_id: UUID | None
    kind: str
    payload: bytes
    at_s: float


class UnansweredRow(msgspec.Struct, frozen=True):
    """The one command of an instance that waits for its answer; `heard_at_s` moves with its progress."""

    instance_id: UUID
    command_id: UUID
    operation_id: UUID
    heard_at_s: float | None


class OutboxRow(msgspec.Struct, frozen=True, kw_only=True):
    """A command (id = command id) or a live query for a guest. The last three fields are set by the store."""

    id: str
    operation_id: UUID | None
    instance_id: UUID
    op: str
    op_version: int
    args: bytes
    """JSON."""
    secret_refs: dict[str, UUID]
    """Which argument is which row of `secrets`; the relay opens and seals it anew at every send."""
    instance_epoch: int
    set_epoch: int
    deadline_s: float
    query_of: UUID | None = None
    sequence: int = 0
    added_at_s: float = 0.0
    sent_at_s: float | None = None


class SecretRow(msgspec.Struct, frozen=True):
    """A sealed value that an operation's events refer to."""

    ref: UUID
    purpose: str
    owner_operation_id: UUID
    sealed: bytes
    expires_s: float


class KeyRow(msgspec.Struct, frozen=True):
    """A wrapped key."""

    purpose: str
    owner: str
    epoch: int
    wrapped: bytes


class EnrolmentRow(msgspec.Struct, frozen=True):
    """An instance that may enrol (token) or has (request and answer)."""

    instance_id: UUID
    key_epoch: int
    sealed_token: bytes | None
    expires_s: float
    request_digest: bytes | None
    answer: bytes | None


class WindowRow(msgspec.Struct, frozen=True):
    """Which messages of a sender were seen."""

    instance_id: UUID
    direction: str
    session: int
    state: bytes


class InboxRow(msgspec.Struct, frozen=True):
    """Bytes from a guest, not yet believed."""

    number: int
    instance_id: UUID
    kind: str
    payload: bytes
    at_s: float


class DownlinkRow(msgspec.Struct, frozen=True):
    """Sealed bytes for a guest."""

    number: int
    instance_id: UUID
    payload: bytes
    expires_s: float


class ReplyRow(msgspec.Struct, frozen=True):
    """The sealed answer of a live query."""

    query_id: str
    sealed: bytes
    expires_s: float


class AnswerRow(msgspec.Struct, frozen=True):
    """The sealed answer that a repeated request with the same Idempotency-Key gets."""

    project_id: str
    key: str
    request_digest: bytes
    sealed: bytes
    expires_s: float


_POSTGRES_WORDS = {
    "INTEGER PRIMARY KEY AUTOINCREMENT": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    " WITHOUT ROWID": "",
    "BLOB": "BYTEA",
    "/* SKIP LOCKED */": "FOR UPDATE SKIP LOCKED",
}
_NAME = re.compile(r"(?<!:):([a-z_]+)")


def for_postgres(statement: str) -> str:
    """The same statement for psycopg.

    >>> for_postgres("SELECT 1 FROM queue WHERE owner = :owner")
    'SELECT 1 FROM queue WHERE owner = %(owner)s'
    """
    for word, theirs in _POSTGRES_WORDS.items():
        statement = statement.replace(word, theirs)
    return _NAME.sub(r"%(\1)s", statement)
