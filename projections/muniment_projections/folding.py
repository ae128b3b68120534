"""Folding a batch of events into row versions: pure, and the same whatever the size of the batch."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from muniment.domain.history import IllegalHistory
from muniment.store.log import Logged
from muniment_projections.projection import AnyProjection
from muniment_projections.row import OPEN, Row

__all__ = ["Fold", "FoldCodec", "Folding", "RowKey"]

RowKey = tuple[str, str]
"""A table and a key."""


class Fold(NamedTuple):
    """Where the fold of one stream stands."""

    projection: AnyProjection
    version: int
    state: Any
    """None when the stream is over, and nothing can follow."""
    rows: Mapping[RowKey, Row]
    """What is shown of it at this moment."""


class FoldCodec:
    """Folds to the columns of the table of states and back."""

    def __init__(self, projections: Sequence[AnyProjection]) -> None:
        """Know the projections by their kind."""
        self._projections = {projection.KIND: projection for projection in projections}
        self._decoders = {p.KIND: msgspec.msgpack.Decoder(p.state_type) for p in projections}
        self._encoder = msgspec.msgpack.Encoder()

    def columns(self, stream_id: UUID, fold: Fold) -> dict[str, object]:
        """A fold as it is stored."""
        return {
            "stream_id": str(stream_id),
            "kind": fold.projection.KIND,
            "version": fold.version,
            "state": None if fold.state is None else self._encoder.encode(fold.state),
        }

    def fold(self, kind: str, version: int, state: bytes | None) -> Fold:
        """A fold as it was stored."""
        projection = self._projections[kind]
        if state is None:
            return Fold(projection, version, None, {})
        opened = self._decoders[kind].decode(state)
        return Fold(projection, version, opened, _shown(projection, opened))


class Folding:
    """One batch: the row versions that its events begin and end, and the folds after it."""

    def __init__(self, projections: Sequence[AnyProjection], known: Mapping[UUID, Fold]) -> None:
        """Go on from `known` folds, which must hold every stream of the batch that has begun before it."""
        self._births = {birth: projection for projection in projections for birth in projection.BIRTHS}
        self._known = known
        self.folds: dict[UUID, Fold] = {}
        """The folds that the batch changed."""
        self.ended: list[tuple[RowKey, int]] = []
        """Versions from before the batch, with the position at which they end."""
        self._begun: dict[RowKey, dict[str, object]] = {}
        self._closed: list[tuple[str, dict[str, object]]] = []

    def add(self, logged: Logged) -> Fold | None:
        """Fold one event more; returns its stream's fold, or None if no projection follows that kind of stream.

        Raises:
            IllegalHistory: the event does not follow from what is known of its stream.
        """
        stream_id, event = logged.event.originator_id, logged.event
        before = self.folds.get(stream_id) or self._known.get(stream_id)
        projection = before.projection if before else self._births.get(type(event))
        if projection is None:
            return None
        if before is not None and before.state is None:
            raise IllegalHistory(f"{type(event).__name__} after the end of {projection.KIND} {stream_id}")
        state = projection.aggregate.fold(before.state if before else None, [event])
        assert state is not None, "a fold over an event yields a state"
        rows = _shown(projection, state)
        self._compare(before.rows if before else {}, rows, logged.position)
        after = Fold(projection, event.originator_version, state, rows)
        self.folds[stream_id] = after._replace(state=None, rows={}) if projection.is_over(state) else after
        # The caller asks whose history the event belongs to, so it gets the state also of a stream that has ended.
        return after

    def begun(self) -> Iterable[tuple[str, dict[str, object]]]:
        """Every version that began in the batch, as (table, columns): those that ended in it, and the open ones."""
        yield from self._closed
        for (table, _), columns in self._begun.items():
            yield table, columns

    def _compare(self, before: Mapping[RowKey, Row], after: Mapping[RowKey, Row], position: int) -> None:
        for key, row in before.items():
            if after.get(key) != row:
                self._end(key, position)
        for key, row in after.items():
            if before.get(key) != row:
                self._begun[key] = row.columns(position, OPEN)

    def _end(self, key: RowKey, position: int) -> None:
        open_version = self._begun.pop(key, None)
        if open_version is None:
            self.ended.append((key, position))
        else:
            open_version["valid_to"] = position
            self._closed.append((key[0], open_version))


def _shown(projection: AnyProjection, state: object) -> dict[RowKey, Row]:
    return {(row.table, row.key): row for row in projection.rows(state)}
