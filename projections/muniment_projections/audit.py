"""Audit: what the log says by itself, without any read model; and whether the read models show that of a stream.

Verifying the chain is the store's. This module trusts the log it reads (every event is checked against its digest as it
is read) and nothing else.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from muniment.store.log import Logged
from muniment_projections.folding import Folding
from muniment_projections.projection import AnyProjection
from muniment_projections.projector import BATCH, LogReader
from muniment_projections.proof import Difference, Values, compare, versions
from muniment_projections.read_model import ReadModel
from muniment_projections.row import OPEN

__all__ = ["Audit", "Replayed"]


class Replayed(NamedTuple):
    """An event of a stream, and the state of the stream after it."""

    logged: Logged
    state: Any
    """None for streams that no projection follows."""


class Audit:
    """Replays streams from the log; each question reads the log from its beginning, in batches."""

    def __init__(self, log: LogReader, projections: Sequence[AnyProjection]) -> None:
        """Replay what `projections` follow."""
        self._log = log
        self._projections = projections

    def replay(self, stream_id: UUID, *, until: int | None = None) -> Iterator[Replayed]:
        """Every event of a stream in order, with the state it led to, up to log position `until`."""
        folding = Folding(self._projections, {})
        for logged in self._events(stream_id, until):
            fold = folding.add(logged)
            yield Replayed(logged, None if fold is None else fold.state)

    def state_at(self, stream_id: UUID, position: int) -> Any:
        """The state of a stream as of a log position; None before its first event."""
        state = None
        for replayed in self.replay(stream_id, until=position):
            state = replayed.state
        return state

    def check(self, read_model: ReadModel, stream_id: UUID) -> list[Difference]:
        """Where the rows of a stream's resource are not what its events say; empty when all is well.

        Compared as of the position that the read models have reached. Rows under keys that no event of the stream ever
        gave rise to are not this stream's, and only a rebuild finds them.
        """
        with read_model.snapshot() as connection:
            live = read_model.live(connection)
            tables = read_model.tables(live.number)
            expected = self._versions(stream_id, live.position)
            differences: list[Difference] = []
            for name in sorted({table for table, _ in expected}):
                rows = [row for table, row in expected if table == name]
                keys = {str(row["key"]) for row in rows}
                shown = versions(connection, tables.rows[name], live.position, keys)
                differences += compare(name, shown, rows)[1]
        return differences

    def _events(self, stream_id: UUID, until: int | None) -> Iterator[Logged]:
        after = 0
        while batch := self._log.read(after, BATCH):
            for logged in batch:
                if until is not None and logged.position > until:
                    return
                if logged.event.originator_id == stream_id:
                    yield logged
            after = batch[-1].position

    def _versions(self, stream_id: UUID, until: int) -> list[tuple[str, Values]]:
        folding = Folding(self._projections, {})
        for logged in self._events(stream_id, until):
            folding.add(logged)
        assert not folding.ended, "one batch from the beginning ends no version of an earlier one"
        return sorted(folding.begun(), key=lambda entry: (entry[0], str(entry[1]["key"]), _end(entry[1])))


def _end(row: Values) -> int:
    end = row["valid_to"]
    assert isinstance(end, int)
    assert end <= OPEN
    return end
