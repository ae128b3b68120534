"""How the table of events is read, by stream and by position; the rows come as stored, not yet verified or decoded."""

from collections.abc import Iterator
from uuid import UUID

from muniment.store.chain import StoredRow
from muniment.store.transaction import Row, Transaction

__all__ = ["head", "log_rows", "scan_linked", "stream_rows"]

_COLUMNS = ("position", "originator_id", "originator_version", "topic", "state", "previous", "digest")
_STREAM = f"""SELECT {", ".join(_COLUMNS)} FROM events
    WHERE originator_id = :stream_id AND originator_version > :gt AND originator_version <= :lte
    ORDER BY originator_version"""  # noqa: S608 - constant columns
_LOG = f"""SELECT {", ".join(_COLUMNS)} FROM events WHERE position > :after AND position <= :until
    ORDER BY position LIMIT :limit"""  # noqa: S608
_LINKED = f"""SELECT {", ".join(f"e.{name}" for name in _COLUMNS)},
        {", ".join(f"p.{name} AS before_{name}" for name in _COLUMNS)}
    FROM events e LEFT JOIN events p
        ON p.originator_id = e.originator_id AND p.originator_version = e.originator_version - 1
    WHERE e.position > :after ORDER BY e.position LIMIT :limit"""  # noqa: S608
_NO_STREAM = UUID(int=0)
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


def scan_linked(tx: Transaction) -> Iterator[tuple[StoredRow, StoredRow | None]]:
    """The whole log in order, each event with its predecessor in its stream, a page in memory at a time."""
    after = 0
    while page := tx.rows(_LINKED, {"after": after, "limit": _PAGE}):
        for row in page:
            after = row["position"]
            yield _stored(row), _stored(row, "before_") if row["before_position"] is not None else None


def _stored(row: Row, prefix: str = "") -> StoredRow:
    return StoredRow(
        row[prefix + "position"],
        _stream_id(row[prefix + "originator_id"]),
        _version(row[prefix + "originator_version"]),
        str(row[prefix + "topic"]),
        _bytes(row[prefix + "state"]),
        _bytes(row[prefix + "previous"]),
        _bytes(row[prefix + "digest"]),
    )


# Whoever alters rows by hand may leave values of any type; they must come out as a broken chain, not as a traceback.


def _stream_id(value: object) -> UUID:
    try:
        stream_id = UUID(str(value))
    except ValueError:
        return _NO_STREAM
    return stream_id if str(stream_id) == value else _NO_STREAM


def _version(value: object) -> int:
    return value if isinstance(value, int) else -1


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
