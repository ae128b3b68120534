"""A projection: from the folded state of one kind of stream to the rows that show it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID

from muniment.domain.event import Aggregate, Event
from muniment_projections.row import Row, RowTable

__all__ = ["AnyProjection", "Projection"]

S = TypeVar("S")


class Projection(ABC, Generic[S]):
    """One read model. It says what to show; folding, batching and storing are the projector's.

    Everything here is pure: the same stream gives the same rows in every batch size, process and release of one `FORM`.
    """

    KIND: ClassVar[str]
    """The kind of stream, in singular: `instance`."""
    FORM: ClassVar[int]
    """Counts up when documents or facets change, so that read models of an older form are built anew."""
    TABLES: ClassVar[tuple[RowTable, ...]]
    BIRTHS: ClassVar[tuple[type[Event], ...]]
    """The events with which a stream of this kind begins; what follows may be shared with other kinds."""

    aggregate: Aggregate[S]
    """What folds the stream."""
    state_type: type[S]
    """The state that the fold yields: it is kept beside the rows, to go on from after a restart."""

    @abstractmethod
    def rows(self, state: S) -> Sequence[Row]:
        """The rows that show a state, none when there is nothing to show (any more)."""

    def instance_of(self, state: S) -> UUID | None:
        """The instance whose history a stream in this state belongs to, if it belongs to one."""
        return None

    def is_over(self, state: S) -> bool:
        """Whether no event can follow any more, so that the state need not be kept."""
        return False


AnyProjection = Projection[Any]
"""A projection of whichever kind of stream; catalogues hold these."""
