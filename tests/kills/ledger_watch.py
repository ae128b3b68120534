"""Reads a ledger from outside while its owner runs: only the file, never through the program's own code."""

import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import msgspec

__all__ = ["Begun", "LedgerWatch", "Started"]

_STARTED, _INTENDED = "operation.started.1", "operation.intended.1"
_SUCCEEDED, _COMPLETED = "operation.step_succeeded.1", "operation.completed.1"
_BUSY_TABLES = ("signals", "unanswered", "outbox", "secrets", "replies", "inbox")
_GUEST_TABLES = ("enrolments", "windows", "downlinks", "seen", "volume_reports", "outbox_sequences")


class _Subject(msgspec.Struct, frozen=True):
    kind: str
    id: str


class Started(msgspec.Struct, frozen=True):
    """An operation that began."""

    originator_id: str
    kind: str
    subjects: tuple[_Subject, ...]
    steps: tuple[str, ...]

    def subject(self, kind: str) -> str | None:
        """The id of its subject of that kind."""
        return next((subject.id for subject in self.subjects if subject.kind == kind), None)


class Begun(msgspec.Struct, frozen=True):
    """A step whose effect may come from now on."""

    step: str
    command_id: str | None


class _Ended(msgspec.Struct, frozen=True):
    outcome: str


class _OfStep(msgspec.Struct, frozen=True):
    step: str


@dataclass(frozen=True)
class LedgerWatch:
    """Looks into `ledger.db` through connections that cannot write; each look is one consistent read."""

    file: Path

    def head(self) -> int:
        """The last log position."""
        return int(self._rows("SELECT coalesce(max(position), 0) FROM events")[0][0])

    def started(self, after: int, kind: str) -> Started | None:
        """The first operation of that kind that began after a position."""
        rows = self._rows(
            "SELECT state FROM events WHERE position > ? AND topic = ? ORDER BY position", after, _STARTED
        )
        found = (msgspec.json.decode(state, type=Started) for (state,) in rows)
        return next((one for one in found if one.kind == kind), None)

    def begun(self, operation_id: str, step: str) -> Begun | None:
        """The step's first intent."""
        found = (msgspec.json.decode(state, type=Begun) for state in self._states(operation_id, _INTENDED))
        return next((one for one in found if one.step == step), None)

    def has_succeeded(self, operation_id: str, step: str) -> bool:
        """Whether the step's effect was recorded."""
        found = self._states(operation_id, _SUCCEEDED)
        return any(msgspec.json.decode(state, type=_OfStep).step == step for state in found)

    def outcome(self, operation_id: str) -> str | None:
        """How the operation ended; None while it goes on."""
        found = self._states(operation_id, _COMPLETED)
        return msgspec.json.decode(found[0], type=_Ended).outcome if found else None

    def failures(self, after: int) -> list[str]:
        """Operations that ended otherwise than well after a position."""
        rows = self._rows(
            "SELECT originator_id, state FROM events WHERE position > ? AND topic = ?", after, _COMPLETED
        )
        ends = [(stream, msgspec.json.decode(state, type=_Ended).outcome) for stream, state in rows]
        return [f"operation {stream} {outcome}" for stream, outcome in ends if outcome != "succeeded"]

    def running(self) -> set[str]:
        """Operations that began and have not ended."""
        rows = self._rows(
            "SELECT originator_id, topic FROM events WHERE topic IN (?, ?)", _STARTED, _COMPLETED
        )
        ended = {stream for stream, topic in rows if topic == _COMPLETED}
        return {stream for stream, topic in rows if topic == _STARTED} - ended

    def topics(self, stream_id: str, after: int = 0) -> Counter[str]:
        """How often what was said in a stream after a position."""
        rows = self._rows(
            "SELECT topic FROM events WHERE originator_id = ? AND position > ?", stream_id, after
        )
        return Counter(topic for (topic,) in rows)

    def is_shown(self, read_models: Path) -> bool:
        """Whether the read models have come as far as the log."""
        with closing(sqlite3.connect(f"file:{read_models}?mode=ro", uri=True, timeout=5)) as connection:
            rows = connection.execute("SELECT position FROM generations WHERE is_live").fetchall()
        return bool(rows) and int(rows[0][0]) == self.head()

    def unfinished(self) -> dict[str, int]:
        """Rows that only running operations and waiting messages have, by table; none of them when all is quiet."""
        counts = {table: self._count(f"SELECT count(*) FROM {table}") for table in _BUSY_TABLES}
        counts["queue"] = self._count("SELECT count(*) FROM queue WHERE done_at_s IS NULL")
        counts["reservations"] = self._count("SELECT count(*) FROM reservations WHERE state = 'reserved'")
        counts["enrolments"] = self._count("SELECT count(*) FROM enrolments WHERE sealed_token IS NOT NULL")
        return {table: count for table, count in counts.items() if count}

    def rows_of(self, subject_id: str) -> dict[str, int]:
        """What the state tables hold of an instance or backup, by table; empty tables left out."""
        counts = {
            table: self._count(f"SELECT count(*) FROM {table} WHERE instance_id = ?", subject_id)
            for table in _GUEST_TABLES
        }
        counts["keys"] = self._count("SELECT count(*) FROM keys WHERE owner = ?", subject_id)
        counts["counted"] = self._count(
            "SELECT count(*) FROM reservations WHERE subject_id = ? AND state <> 'released'", subject_id
        )
        return {table: count for table, count in counts.items() if count}

    def _states(self, stream_id: str, topic: str) -> list[bytes]:
        rows = self._rows(
            "SELECT state FROM events WHERE originator_id = ? AND topic = ? ORDER BY position",
            stream_id,
            topic,
        )
        return [state for (state,) in rows]

    def _count(self, statement: str, *values: str) -> int:
        return int(self._rows(statement, *values)[0][0])

    def _rows(self, statement: str, *values: str | int) -> list[tuple]:  # type: ignore[type-arg]
        with closing(sqlite3.connect(f"file:{self.file}?mode=ro", uri=True, timeout=5)) as connection:
            return connection.execute(statement, values).fetchall()
