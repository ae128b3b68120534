"""Secrets that can be recognised wherever they turn up, and the search for them in files and processes."""

import base64
import os
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

__all__ = ["Canary", "Find", "Sampler", "forms", "in_bytes", "in_files"]

_CHUNK_BYTES = 8 * 1024 * 1024
_OVERLAP_BYTES = 1024
_PAUSE_S = 0.005
"""Between looks at all processes; a busy loop would slow down what it watches."""


@dataclass(frozen=True)
class Canary:
    """A secret, and the names of the files that may hold it."""

    name: str
    secret: bytes
    allowed: frozenset[str] = frozenset()


@dataclass(frozen=True, order=True)
class Find:
    """A canary where it must not be."""

    canary: str
    place: str


def forms(secret: bytes) -> set[bytes]:
    """The ways in which a secret is usually written: as it is, quoted, in hexadecimal, inside of any base64."""
    found = {secret, quote(secret).encode(), secret.hex().encode(), secret.hex().upper().encode()}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for shift in range(3):
            # Of the text around the secret, only the characters that its own bytes decide.
            text = encode(bytes(shift) + secret).rstrip(b"=")
            found.add(text[-(-shift * 8 // 6) : (shift + len(secret)) * 8 // 6])
    return found


def in_bytes(data: bytes, canaries: Iterable[Canary], place: str) -> set[Find]:
    """The canaries in some bytes."""
    return {
        Find(canary.name, place) for canary in canaries if any(form in data for form in _forms_of(canary))
    }


def in_files(folder: Path, canaries: Iterable[Canary]) -> set[Find]:
    """The canaries in the files of a folder and below, but for those that may hold them; links are not followed."""
    found: set[Find] = set()
    for directory, _, names in os.walk(folder):
        for name in names:
            path = Path(directory) / name
            if path.is_file() and not path.is_symlink():
                wanted = [canary for canary in canaries if name not in canary.allowed]
                found |= _in_file(path, wanted)
    return found


class Sampler:
    """Watches all processes of the machine, and small files that come and go, from `start` to `stop`."""

    def __init__(self, canaries: Iterable[Canary], folder: Path, *patterns: str) -> None:
        """Look for the canaries in command lines, environments, and the files of `folder` that match the patterns."""
        self.finds: set[Find] = set()
        self.commands: set[bytes] = set()
        """Every command line that was seen."""
        self.kept: dict[str, bytes] = {}
        """The last content of every file that was seen, by its path."""
        self._canaries = list(canaries)
        self._folder = folder
        self._patterns = patterns
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Look once more, and end."""
        self._stopping.set()
        self._thread.join()

    def _watch(self) -> None:
        is_last = False
        while not is_last:
            is_last = self._stopping.is_set()
            self._look_at_processes()
            self._look_at_files()
            self._stopping.wait(_PAUSE_S)

    def _look_at_processes(self) -> None:
        for pid in [name for name in os.listdir("/proc") if name.isdigit()]:
            command = _read(Path(f"/proc/{pid}/cmdline"))
            self.commands.add(command)
            self.finds |= in_bytes(command, self._canaries, f"command line of {command[:200]!r}")
            environment = _read(Path(f"/proc/{pid}/environ"))
            self.finds |= in_bytes(environment, self._canaries, f"environment of {command[:200]!r}")

    def _look_at_files(self) -> None:
        for pattern in self._patterns:
            for path in self._folder.glob(pattern):
                content = _read(path)
                if content:
                    self.kept[str(path)] = content
                    wanted = [canary for canary in self._canaries if path.name not in canary.allowed]
                    self.finds |= in_bytes(content, wanted, str(path))


_known: dict[bytes, frozenset[bytes]] = {}


def _forms_of(canary: Canary) -> frozenset[bytes]:
    if canary.secret not in _known:
        assert len(canary.secret) >= 12, "a short secret is found by chance"
        _known[canary.secret] = frozenset(forms(canary.secret))
    return _known[canary.secret]


def _in_file(path: Path, canaries: list[Canary]) -> set[Find]:
    found: set[Find] = set()
    for chunk in _chunks(path):
        found |= in_bytes(chunk, canaries, str(path))
    return found


def _chunks(path: Path) -> Iterator[bytes]:
    """The content in pieces that overlap; holes, of which images of volumes consist mostly, are left out."""
    try:
        with path.open("rb", buffering=0) as file:
            offset = 0
            while True:
                try:
                    offset = os.lseek(file.fileno(), offset, os.SEEK_DATA)
                except OSError:
                    return  # nothing but a hole follows
                chunk = os.pread(file.fileno(), _CHUNK_BYTES, offset)
                if not chunk:
                    return
                yield chunk
                if len(chunk) < _CHUNK_BYTES:
                    return
                offset += len(chunk) - _OVERLAP_BYTES
    except FileNotFoundError:
        return  # removed since it was listed


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
