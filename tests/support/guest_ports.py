"""Stand-ins for the ports of the agent's machine. Each obeys the contract test that the real one obeys."""

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO
from uuid import UUID

import msgspec

from muniment.contract.errors import Code, OpFailed
from muniment.contract.messages import JobState, Outcome
from muniment.contract.ops import Nothing
from muniment.secret import Secret
from muniment_guest.duties import JobProgress, JobView
from muniment_guest.journal import Entry, Progressed

__all__ = ["Crash", "MemoryJobs", "MemoryJournal", "MemoryStore", "RecordingDuties"]


class Crash(BaseException):
    """The agent's process ends here; no handler of it may run."""


class MemoryJournal:
    """See `muniment_guest.journal.Journal`."""

    def __init__(self) -> None:
        """Nothing is known."""
        self.epoch = 0
        self._entries: dict[UUID, Entry] = {}
        self._marks: dict[str, str] = {}

    def find(self, command_id: UUID) -> Entry | None:
        """See `Journal`."""
        return self._entries.get(command_id)

    def running(self) -> Entry | None:
        """See `Journal`."""
        return next((entry for entry in self._entries.values() if entry.state is Progressed.STARTED), None)

    def latest(self) -> Entry | None:
        """See `Journal`."""
        return next((e for e in reversed(self._entries.values()) if e.state is Progressed.DONE), None)

    def mark(self, name: str) -> str:
        """See `Journal`."""
        return self._marks.get(name, "")

    def raise_epoch(self, epoch: int) -> None:
        """See `Journal`."""
        assert epoch > self.epoch
        self.epoch = epoch

    def start(self, entry: Entry) -> None:
        """See `Journal`."""
        assert entry.command_id not in self._entries
        self._entries[entry.command_id] = entry

    def finish(self, outcome: Outcome, *, at_s: float, marks: Mapping[str, str] | None = None) -> None:
        """See `Journal`."""
        started = self._entries.pop(outcome.command_id)
        assert started.state is Progressed.STARTED
        done = msgspec.structs.replace(started, state=Progressed.DONE, at_s=at_s, outcome=outcome)
        self._entries[outcome.command_id] = done
        self._marks.update(marks or {})

    def promise_never(self, command_id: UUID, *, at_s: float) -> None:
        """See `Journal`."""
        assert command_id not in self._entries
        self._entries[command_id] = Entry(command_id=command_id, state=Progressed.NEVER, at_s=at_s)


class RecordingDuties:
    """See `muniment_guest.duties.Duties`: records what it was asked for."""

    def __init__(self, on_act: Callable[[str, bytes], None] | None = None) -> None:
        """`on_act` is called in each act and may raise."""
        self.acts: list[tuple[str, bytes, dict[str, bytes]]] = []
        self.queries: list[tuple[str, bytes]] = []
        self.abandoned: list[tuple[str, bytes]] = []
        self._on_act = on_act

    def query(self, op: str, args: bytes) -> msgspec.Struct:
        """See `Duties`."""
        self.queries.append((op, args))
        return Nothing()

    def act(self, op: str, args: bytes, secrets: Mapping[str, Secret]) -> msgspec.Struct:
        """See `Duties`."""
        self.acts.append((op, args, {name: secret.reveal() for name, secret in secrets.items()}))
        if self._on_act is not None:
            self._on_act(op, args)
        return Nothing()

    def abandon(self, op: str, args: bytes) -> None:
        """See `Duties`."""
        self.abandoned.append((op, args))


class MemoryJobs:
    """See `muniment_guest.duties.Jobs`. Jobs run until the test ends them by `finish` or `vanish`."""

    def __init__(self, on_start: Callable[[Entry], None] | None = None) -> None:
        """`on_start` is called at each start and may raise."""
        self._views: dict[UUID, JobView] = {}
        self.started: list[Entry] = []
        self._on_start = on_start

    def start(self, entry: Entry, secrets: Mapping[str, Secret]) -> None:
        """See `Jobs`."""
        starts = self.look(entry.command_id).starts + 1
        self.started.append(entry)
        self._views[entry.command_id] = JobView(state=JobState.RUNNING, starts=starts)
        if self._on_start is not None:
            self._on_start(entry)

    def look(self, command_id: UUID) -> JobView:
        """See `Jobs`."""
        return self._views.get(command_id, JobView(state=JobState.NEVER))

    def end(self, command_id: UUID) -> None:
        """See `Jobs`."""
        if self.look(command_id).state is JobState.RUNNING:
            self.vanish(command_id)

    def forget(self, command_id: UUID) -> None:
        """See `Jobs`."""
        self._views.pop(command_id, None)

    # what the test does

    def running(self) -> list[UUID]:
        """Jobs that run."""
        return [name for name, view in self._views.items() if view.state is JobState.RUNNING]

    def finish(self, outcome: Outcome) -> None:
        """The job comes to its end."""
        view = self._views[outcome.command_id]
        self._views[outcome.command_id] = msgspec.structs.replace(
            view, state=JobState.FINISHED, outcome=outcome
        )

    def vanish(self, command_id: UUID) -> None:
        """The job's process is gone."""
        self._views[command_id] = msgspec.structs.replace(self._views[command_id], state=JobState.NEVER)

    def report(self, command_id: UUID, progress: JobProgress) -> None:
        """The job says something."""
        self._views[command_id] = msgspec.structs.replace(self._views[command_id], progress=progress)


class MemoryStore:
    """See `muniment_guest.stores.store.ObjectStore`."""

    def __init__(self) -> None:
        """Empty."""
        self.objects: dict[str, bytes] = {}

    @contextmanager
    def write(self, name: str) -> Iterator[IO[bytes]]:
        """See `ObjectStore`."""
        file = io.BytesIO()
        yield file
        self.objects[name] = file.getvalue()

    @contextmanager
    def read(self, name: str) -> Iterator[IO[bytes]]:
        """See `ObjectStore`."""
        if name not in self.objects:
            raise OpFailed(Code.NOT_FOUND, f"there is no {name}")
        yield io.BytesIO(self.objects[name])

    def names(self) -> Iterator[str]:
        """See `ObjectStore`."""
        return iter(sorted(self.objects))

    def delete(self, name: str) -> None:
        """See `ObjectStore`."""
        self.objects.pop(name, None)

    def clear(self) -> None:
        """See `ObjectStore`."""
        self.objects.clear()

    def free_bytes(self) -> int | None:
        """See `ObjectStore`."""
        return None
