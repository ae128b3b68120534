"""Ledgers for tests: one set of keys, a clock that stands still, and recorders that lose acknowledgements."""

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

from eventsourcing.persistence import StoredEvent

from muniment.clock import Clock, ManualClock
from muniment.domain.event import About
from muniment.fault import Fault
from muniment.secrets.keys import KeyEncryptionKeys
from muniment.secrets.personal import PersonalCipher
from muniment.secrets.vault import Vault
from muniment.store.ledger import Ledger
from muniment.store.recorder import Recorder
from muniment.store.sqlite import SQLiteRecorder

ABOUT = About(project_id="project-1", actor="user:keeper", request_id="req-1")
VAULT = Vault(KeyEncryptionKeys.generate())


def ledger_on(recorder: Recorder, clock: Clock | None = None, new_id: Callable[[], UUID] = uuid4) -> Ledger:
    """A ledger over `recorder`, with the keys that all tests share and a clock that stands still."""
    return Ledger(recorder, clock=clock or ManualClock(), cipher=PersonalCipher(VAULT), new_id=new_id)


class LosingRecorder(SQLiteRecorder):
    """Loses what `lose` says, once: the acknowledgement of the next save, or the save itself."""

    lose: str = ""

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """Save, but tell nobody; or do not save."""
        losing, self.lose = self.lose, ""
        if losing == "save":
            raise Fault("store", "connection lost")
        positions = super().insert_events(stored_events, **kwargs)
        if losing == "acknowledgement":
            raise Fault("store", "connection lost")
        return positions


@contextmanager
def altering(recorder: SQLiteRecorder) -> Any:
    """A cursor for somebody who reaches behind the store."""
    with recorder.datastore.transaction(commit=True) as cursor:
        yield cursor.sqlite_cursor
