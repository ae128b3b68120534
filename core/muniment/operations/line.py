"""The line before an instance's guest: commands of different operations run in the order in which those were asked for.

The order is that of the instance's occupants. Without it, of a grant and a revoke that both wait for a backup the revoke
could run first, and the grant that was removed last would be there at the end.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import dropwhile
from typing import Final
from uuid import UUID

from muniment.domain.instance import Instance
from muniment.domain.operation import OPERATION, Phase
from muniment.store.reader import Reader

__all__ = ["NO_LINE", "Line", "load_line"]


@dataclass(frozen=True)
class Line:
    """Where an operation stands in the line."""

    ahead: int
    """How many operations come before it; 0 when it is its turn."""
    following: UUID | None
    """Who comes after it."""


NO_LINE: Final = Line(0, None)
"""Of operations that do not occupy an instance: they ask no guest."""


def load_line(reader: Reader, instance: Instance | None, operation_id: UUID) -> Line:
    """Where an operation stands in the line of an instance.

    Who only unwinds has no commands to come, however long that takes, and holds up nobody. Everybody else waits for
    earlier ones alone, so no two wait for each other.
    """
    ids = [occupant.operation_id for occupant in instance.occupants] if instance is not None else []
    if operation_id not in ids:
        return NO_LINE
    place = ids.index(operation_id)
    return Line(
        ahead=len(_from_first_forward(reader, ids[:place])),
        following=next(iter(_from_first_forward(reader, ids[place + 1 :])), None),
    )


def _from_first_forward(reader: Reader, ids: Iterable[UUID]) -> list[UUID]:
    """Those from the first on that has commands to come; the few before it are all that must be read."""

    def has_turned_round(operation_id: UUID) -> bool:
        operation = reader.load(OPERATION, operation_id)
        assert operation is not None, f"occupant {operation_id} has no stream"
        return operation.phase is not Phase.FORWARD

    return list(dropwhile(has_turned_round, ids))
