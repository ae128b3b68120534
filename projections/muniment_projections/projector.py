"""The projector: follows the log and keeps the read models, batch by batch, rows and position in one transaction."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Protocol
from uuid import UUID

from sqlalchemy import Connection, Table, Update, bindparam, delete, insert, select, update

from muniment.fault import Fault
from muniment.store.log import Logged
from muniment_projections import generations
from muniment_projections.folding import Fold, FoldCodec, Folding
from muniment_projections.generations import Generation
from muniment_projections.read_model import ReadModel, Tables
from muniment_projections.row import OPEN
from muniment_projections.timeline import timeline_row
from muniment_projections.waiting import Arrivals

__all__ = ["BATCH", "LogReader", "Overtaken", "ProjectionFailed", "Projector", "TellsAnotherLog"]

BATCH = 500
"""Events in one transaction: large enough to make the commit cheap, small enough that a reader of today waits little."""
_FOLDS_IN_MEMORY = 4096
_CHUNK = 500


class LogReader(Protocol):
    """What the projector needs of `muniment.store.log.Log`."""

    def head(self) -> int:
        """The position of the last event."""
        ...

    def read(self, after: int, limit: int) -> list[Logged]:
        """Events behind a position, in order, verified."""
        ...


class Overtaken(Exception):
    """Another projector moves the same read models: this one must stop. Nothing of its batch was written."""


class TellsAnotherLog(Fault):
    """The read models were made from another log than the one that is to be followed."""

    def __init__(self, position: int) -> None:
        """They stand at `position`, where this log says something else, or nothing."""
        super().__init__(
            "read model",
            f"the read models tell another log than this one (at position {position}); rebuild them with "
            "`muniment rebuild`, or delete their file",
            retryable=False,
        )


class ProjectionFailed(Exception):
    """An event cannot be shown. Nothing behind it is, until an operator decides: skipping would be a lie about the log."""

    def __init__(self, logged: Logged) -> None:
        """Name the event; the reason is the cause."""
        event = logged.event
        super().__init__(
            f"the projection of {event.TOPIC} at log position {logged.position} failed "
            f"(version {event.originator_version} of stream {event.originator_id}); the read models stay at "
            f"position {logged.position - 1} at the latest"
        )
        self.position = logged.position


class Projector:
    """Keeps one generation of the read models, or whichever is live.

    Synchronous: a role's loop calls `run_once`, and waits with `Log.wait` when that has done nothing.
    """

    def __init__(
        self,
        log: LogReader,
        read_model: ReadModel,
        *,
        arrivals: Arrivals | None = None,
        generation: int | None = None,
    ) -> None:
        """Follow `log`; `arrivals` hears of every commit. Without `generation` the live one is followed over switches."""
        self._log = log
        self._read_model = read_model
        self._arrivals = arrivals
        self._fixed = generation is not None
        self._codec = FoldCodec(read_model.projections)
        self._folds: OrderedDict[UUID, Fold] = OrderedDict()
        self._at = self._standing(generation)
        self._check_log()

    @property
    def position(self) -> int:
        """The log position up to which this projector has shown everything."""
        return self._at.position

    def run_once(self, *, limit: int = BATCH, until: int | None = None) -> int:
        """Show the next events, at most `limit` and none behind position `until`; returns how many they were.

        Raises:
            Overtaken: another projector is at work.
            ProjectionFailed: an event cannot be shown.
        """
        batch = self._log.read(self._at.position, limit)
        if until is not None:
            batch = [logged for logged in batch if logged.position <= until]
        if not batch:
            return 0
        try:
            with self._read_model.writing() as connection:
                if not self._is_current(connection):
                    return 0
                after = self._write(connection, batch)
        except BaseException:
            self._folds.clear()  # whatever was folded is not what is stored
            raise
        self._at = after
        if self._arrivals is not None:
            self._arrivals.advanced(after.position)
        return len(batch)

    def catch_up(self, *, until: int | None = None, limit: int = BATCH) -> None:
        """Run until everything up to `until` (the log's head of this moment) is shown."""
        end = self._log.head() if until is None else until
        while self._at.position < end and self.run_once(limit=limit, until=end):
            pass

    def write_up_to(self, connection: Connection, until: int) -> Generation:
        """Show everything up to `until` within a transaction of the caller, who holds the write lock.

        A rebuild does so for the last few events, so that nothing moves between catching up and going live. When the
        transaction fails, this projector is not to be used again.
        """
        while self._at.position < until:
            batch = [
                logged for logged in self._log.read(self._at.position, BATCH) if logged.position <= until
            ]
            if not batch:
                break
            self._at = self._write(connection, batch)
        return self._at

    def _standing(self, number: int | None) -> Generation:
        with self._read_model.reading() as connection:
            if number is None:
                return self._read_model.live(connection)
            found = generations.find(connection, number)
        if found is None:
            raise Overtaken(f"generation {number} of the read models is gone")
        return found

    def _check_log(self) -> None:
        """Refuse to go on with a log that is not the one these read models were made from.

        Raises:
            TellsAnotherLog: it is not.
        """
        if self._at.position == 0:
            return
        last = self._log.read(self._at.position - 1, 1)
        if not last or (last[0].position, last[0].digest) != (self._at.position, self._at.digest):
            raise TellsAnotherLog(self._at.position)

    def _is_current(self, connection: Connection) -> bool:
        """Whether the generation is still the one to keep; if another went live, take that up, without its events."""
        if self._fixed:
            return True
        live = self._read_model.live(connection)
        if live.number == self._at.number:
            return True
        self._at = live
        self._folds.clear()
        return False

    def _write(self, connection: Connection, batch: Sequence[Logged]) -> Generation:
        last = batch[-1]
        # First of all, since it takes the lock and proves that what this projector remembers is what is stored.
        if not generations.advance(connection, self._at, last.position, last.digest):
            raise Overtaken(
                f"another projector moved generation {self._at.number} of the read models from position {self._at.position}"
            )
        tables = self._read_model.tables(self._at.number)
        folding = Folding(self._read_model.projections, self._recall(connection, tables, batch))
        events = [_shown(folding, logged) for logged in batch]
        connection.execute(insert(tables.timeline), events)
        _store_rows(connection, tables, folding)
        self._store_folds(connection, tables, folding)
        return self._at._replace(position=last.position, digest=last.digest)

    def _recall(self, connection: Connection, tables: Tables, batch: Iterable[Logged]) -> dict[UUID, Fold]:
        """The folds of the streams in a batch that began before it."""
        streams = {logged.event.originator_id for logged in batch}
        found = {stream: self._folds[stream] for stream in streams if stream in self._folds}
        missing = [str(stream) for stream in streams if stream not in found]
        states = tables.states
        for start in range(0, len(missing), _CHUNK):
            wanted = states.c.stream_id.in_(missing[start : start + _CHUNK])
            for row in connection.execute(select(states).where(wanted)):
                found[UUID(row.stream_id)] = self._codec.fold(row.kind, row.version, row.state)
        return found

    def _store_folds(self, connection: Connection, tables: Tables, folding: Folding) -> None:
        if not folding.folds:
            return
        states = tables.states
        ids = [{"stream": str(stream)} for stream in folding.folds]
        connection.execute(delete(states).where(states.c.stream_id == bindparam("stream")), ids)
        columns = [self._codec.columns(stream, fold) for stream, fold in folding.folds.items()]
        connection.execute(insert(states), columns)
        for stream, fold in folding.folds.items():
            self._folds[stream] = fold
            self._folds.move_to_end(stream)
        while len(self._folds) > _FOLDS_IN_MEMORY:
            self._folds.popitem(last=False)


def _shown(folding: Folding, logged: Logged) -> dict[str, object]:
    try:
        return timeline_row(logged, folding.add(logged))
    except Exception as error:
        raise ProjectionFailed(logged) from error


def _store_rows(connection: Connection, tables: Tables, folding: Folding) -> None:
    ended: dict[str, list[dict[str, object]]] = {}
    for (table, key), position in folding.ended:
        ended.setdefault(table, []).append({"row_key": key, "position": position})
    for table, values in ended.items():
        connection.execute(_end(tables.rows[table]), values)
    begun: dict[str, list[dict[str, object]]] = {}
    for table, columns in folding.begun():
        begun.setdefault(table, []).append(columns)
    for table, rows in begun.items():
        connection.execute(insert(tables.rows[table]), rows)


def _end(table: Table) -> Update:
    return (
        update(table)
        .where(table.c.key == bindparam("row_key"), table.c.valid_to == OPEN)
        .values(valid_to=bindparam("position"))
    )
