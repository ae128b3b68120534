"""What the agent remembers of commands: the reason why a repeated command acts once.

Two copies are kept once the data volume is there: one on the root disk, one on the volume, which outlives the server.
Either alone is enough. Every method that changes something returns only when that is durable.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol
from uuid import UUID

import msgspec
import structlog

from muniment.contract.messages import Outcome
from muniment.fault import Fault
from muniment_guest.journal_file import JournalFile, JournalFull

__all__ = ["DiskJournal", "Entry", "Journal", "Progressed"]

log = structlog.get_logger()

_KEPT_OUTCOMES: Final = 128
_KEPT_OUTCOMES_MIN: Final = 16
_KEPT_PROMISES_S: Final = 25 * 3600.0
"""Longer than any envelope lives (24 h) and clocks differ, so that what was promised away cannot arrive any more."""


class Progressed(StrEnum):
    """How far a command got."""

    STARTED = "started"
    DONE = "done"
    NEVER = "never"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one command."""

    command_id: UUID
    state: Progressed
    at_s: float
    op: str = ""
    args: bytes = b""
    instance_epoch: int = 0
    expires_s: float = 0.0
    had_secrets: bool = False
    outcome: Outcome | None = None


class Journal(Protocol):
    """The machine's memory."""

    @property
    def epoch(self) -> int:
        """The highest instance epoch heard."""
        ...

    def find(self, command_id: UUID) -> Entry | None:
        """What is known of a command."""
        ...

    def running(self) -> Entry | None:
        """The one command that was started and has no outcome."""
        ...

    def latest(self) -> Entry | None:
        """The command that was finished last."""
        ...

    def mark(self, name: str) -> str:
        """A small fact kept beside the commands; empty when it was never set."""
        ...

    def raise_epoch(self, epoch: int) -> None:
        """A higher epoch was heard."""
        ...

    def start(self, entry: Entry) -> None:
        """The command is about to act."""
        ...

    def finish(self, outcome: Outcome, *, at_s: float, marks: Mapping[str, str] | None = None) -> None:
        """The command has this outcome; `marks` become true with it."""
        ...

    def promise_never(self, command_id: UUID, *, at_s: float) -> None:
        """This command was not heard yet and will not be carried out."""
        ...


class _Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the journal; what it changes is set, the rest is not."""

    number: int
    epoch: int | None = None
    entry: Entry | None = None
    marks: dict[str, str] = {}


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Record)


class DiskJournal:
    """The journal on disk; see `Journal`. Entries of other instances are ignored."""

    def __init__(
        self, home: Path, instance_id: UUID, *, open_file: Callable[[Path, UUID], JournalFile] = JournalFile
    ) -> None:
        """Open the copy in `home`, on the root disk.

        Raises:
            Fault: the disk has no room, or fails.
        """
        self._instance_id = instance_id
        self._open_file = open_file
        self._homes: dict[Path, JournalFile] = {}
        self._epoch = 0
        self._number = 0
        self._entries: dict[UUID, Entry] = {}
        self._marks: dict[str, str] = {}
        self.add_home(home)

    @property
    def epoch(self) -> int:
        """See `Journal`."""
        return self._epoch

    def find(self, command_id: UUID) -> Entry | None:
        """See `Journal`."""
        return self._entries.get(command_id)

    def running(self) -> Entry | None:
        """See `Journal`."""
        return next((entry for entry in self._entries.values() if entry.state is Progressed.STARTED), None)

    def latest(self) -> Entry | None:
        """See `Journal`."""
        done = (entry for entry in reversed(self._entries.values()) if entry.state is Progressed.DONE)
        return next(done, None)

    def mark(self, name: str) -> str:
        """See `Journal`."""
        return self._marks.get(name, "")

    def raise_epoch(self, epoch: int) -> None:
        """See `Journal`."""
        assert epoch > self._epoch, (epoch, self._epoch)
        self._append(_Record(number=self._number + 1, epoch=epoch), now_s=None)

    def start(self, entry: Entry) -> None:
        """See `Journal`."""
        assert entry.state is Progressed.STARTED, entry
        assert entry.command_id not in self._entries, entry.command_id
        self._append(_Record(number=self._number + 1, entry=entry), now_s=entry.at_s)

    def finish(self, outcome: Outcome, *, at_s: float, marks: Mapping[str, str] | None = None) -> None:
        """See `Journal`."""
        started = self._entries[outcome.command_id]
        assert started.state is Progressed.STARTED, started
        entry = msgspec.structs.replace(started, state=Progressed.DONE, at_s=at_s, outcome=outcome)
        self._append(_Record(number=self._number + 1, entry=entry, marks=dict(marks or {})), now_s=at_s)

    def promise_never(self, command_id: UUID, *, at_s: float) -> None:
        """See `Journal`."""
        assert command_id not in self._entries, command_id
        entry = Entry(command_id=command_id, state=Progressed.NEVER, at_s=at_s)
        self._append(_Record(number=self._number + 1, entry=entry), now_s=at_s)

    def add_home(self, home: Path) -> None:
        """Keep a copy there too, and learn what the copy that is there already says.

        Raises:
            Fault: it cannot be opened; the other copies go on.
        """
        if home in self._homes:
            return
        try:
            file = self._open_file(home, self._instance_id)
        except OSError as error:
            raise Fault("journal", f"the journal in {home} cannot be opened: {error.strerror}") from error
        behind = bool(self._homes)
        self._learn([_decoder.decode(record) for record in file.records])
        self._homes[home] = file
        if behind:
            self._rewrite()

    def drop_home(self, home: Path) -> None:
        """Stop keeping the copy there, so that its filesystem can be unmounted."""
        file = self._homes.pop(home, None)
        if file is not None:
            file.close()

    def close(self) -> None:
        """Let go of all files."""
        for home in list(self._homes):
            self.drop_home(home)

    def _append(self, record: _Record, *, now_s: float | None) -> None:
        """Make the record durable in at least one copy, then believe it."""
        if now_s is not None:
            self._prune(now_s)
        payload, kept = _encoder.encode(record), 0
        for home, file in self._homes.items():
            try:
                self._append_to(file, payload)
                kept += 1
            except OSError as error:
                log.error("journal copy failed", home=str(home), error=error.strerror)
        if not kept:
            raise Fault("journal", "no copy of the journal can be written; nothing is done without one")
        self._fold(record)

    def _append_to(self, file: JournalFile, payload: bytes) -> None:
        try:
            file.append(payload)
        except JournalFull:
            file.replace(self._snapshot(file))
            try:
                file.append(payload)
            except JournalFull as error:
                raise OSError(0, "the journal has no room left") from error

    def _learn(self, records: list[_Record]) -> None:
        """Fold what another copy says into what is known; of marks, the copy that was written later is right."""
        known, known_number = dict(self._marks), self._number
        for record in sorted(records, key=lambda record: record.number):
            self._fold(record)
        if self._number == known_number:
            self._marks.update(known)

    def _rewrite(self) -> None:
        for home, file in self._homes.items():
            try:
                file.replace(self._snapshot(file))
            except (OSError, JournalFull) as error:
                raise Fault("journal", f"the journal in {home} cannot be written") from error

    def _fold(self, record: _Record) -> None:
        self._number = max(self._number, record.number)
        self._epoch = max(self._epoch, record.epoch or 0)
        self._marks.update(record.marks)
        if record.entry is not None:
            known = self._entries.get(record.entry.command_id)
            if known is None or known.state is Progressed.STARTED:
                self._entries.pop(record.entry.command_id, None)  # the newest stand last
                self._entries[record.entry.command_id] = record.entry

    def _prune(self, now_s: float) -> None:
        """Forget what nobody can ask for: outcomes past their command's expiry but the last ones, and old promises."""
        done = [entry for entry in self._entries.values() if entry.state is Progressed.DONE]
        for entry in done[:-_KEPT_OUTCOMES]:
            if entry.expires_s + _KEPT_PROMISES_S < now_s:
                del self._entries[entry.command_id]
        for entry in [entry for entry in self._entries.values() if entry.state is Progressed.NEVER]:
            if entry.at_s + _KEPT_PROMISES_S < now_s:
                del self._entries[entry.command_id]

    def _snapshot(self, file: JournalFile) -> list[bytes]:
        """All that is known, as records; large outcomes of long ago go first when it would fill the file."""
        entries = list(self._entries.values())
        while True:
            records = [_Record(number=self._number, epoch=self._epoch, marks=dict(self._marks))]
            records += [_Record(number=self._number, entry=entry) for entry in entries]
            payloads = [_encoder.encode(record) for record in records]
            done = [entry for entry in entries if entry.state is Progressed.DONE]
            if file.fits(payloads) or len(done) <= _KEPT_OUTCOMES_MIN:
                return payloads
            entries.remove(done[0])
