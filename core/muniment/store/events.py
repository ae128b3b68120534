"""How the table of events is read, by stream and by position; the rows come as stored, not yet verified or decoded."""

from collections.abc import Iterator
from uuid import UUID

from muniment.store.chain import StoredRow
from muniment.store.transaction import Row, Transaction

__all__ = ["head", "log_rows", "scan", "stream_rows"]

_COLUMNS = "position, originator_id, originator_version, topic, state, previous, digest"
_STREAM = f"""SELECT {_COLUMNS} FROM events
    WHERE originator_id = :stream_id AND originator_version > :gt AND originator_version <= :lte
    ORDER BY originator_version"""  # noqa: S608 - constant columns
_LOG = f"""SELECT {_COLUMNS} FROM events WHERE position > :after AND position <= :until
    ORDER BY position LIMIT :limit"""  # noqa: S608
_LARGEST = 2**63 - 1
_PAGE = 1000


def head(tx: Transaction) -> int:
    """The position of the last event; 0 while there is none."""
    row = tx.row("SELECT MAX(position) AS head FROM events")
    return (row["head"] or 0) if row else 0


def stream_rows(tx: Transaction, stream_id: UUID, *, gt: int = 0, lte: int | None = None) -> list[StoredRow]:
    """The events of a stream in order, after version `gt`, up to `lte`."""
    values = {"stream_id": stream_id, "gt": gt, "lte": _LARGEST if lte is None else lte}
    return [_stored(row) for row in tx.rows(_STREAM, values)]


def log_rows(tx: Transaction, after: int, limit: int, *, until: int = _LARGEST) -> list[StoredRow]:
    """At most `limit` events in log order, from the first behind position `after`."""
    return [_stored(row) for row in tx.rows(_LOG, {"after": after, "until": until, "limit": limit})]


def scan(tx: Transaction, after: int = 0) -> Iterator[StoredRow]:
    """The whole log behind position `after`, a page in memory at a time."""
    while rows := log_rows(tx, after, _PAGE):
        yield from rows
        after = rows[-1].position


def _stored(row: Row) -> StoredRow:
    return StoredRow(
        row["position"],
        UUID(row["originator_id"]),
        row["originator_version"],
        row["topic"],
        row["state"],
        row["previous"],
        row["digest"],
    )
