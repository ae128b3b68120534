"""The base of all writes: a change of state tables that is saved with events, in their transaction."""

from typing import ClassVar

import msgspec

from muniment.store.state import Rank
from muniment.store.transaction import Transaction

__all__ = ["Write"]


class Write(msgspec.Struct, frozen=True):
    """One change of state tables. All writes of a save happen in the fixed order of `Rank`, or none does."""

    RANK: ClassVar[Rank]

    def apply(self, tx: Transaction) -> None:
        """Make the change.

        Raises:
            NotSaved, Refused: the guard does not hold; the whole save is rolled back.
        """
        raise NotImplementedError

    def row_key(self) -> str:
        """Which row is locked: writes of one rank happen in this order."""
        return ""
