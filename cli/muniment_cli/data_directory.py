"""The data directory: which file is what, its version, and the lock that lets one control plane run on it."""

import fcntl
import os
import secrets
import shlex
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from muniment.cloud.local.layout import Layout
from muniment.durable_file import write_durably
from muniment_cli.failure import BadInput

__all__ = ["DATA_VARIABLE", "VERSION", "DataDirectory", "default_data", "find_data", "named_data"]

DATA_VARIABLE = "MUNIMENT_DATA"
VERSION = "1"
"""Of the directory's layout; another one is refused, never guessed at."""

_GOING = "being purged"

_UNFIT = frozenset('$`"\\')
"""`initdb` asks its siblings for their version through a shell, their paths in double quotes."""


def default_data(environment: Mapping[str, str]) -> Path:
    """The data directory when none is named: root's is where the users of engines can pass through."""
    if named := environment.get(DATA_VARIABLE):
        return Path(named).expanduser().absolute()
    if os.geteuid() == 0:
        return Path("/var/lib/muniment")
    return Path(environment.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "muniment"


def find_data(named: Path | None, *, is_to_go: bool = False) -> "DataDirectory":
    """The data directory that an operator's command works on; it must be there, whole unless it `is_to_go`.

    Raises:
        BadInput: there is none, or it is of another version.
    """
    data = named_data(named)
    data.check(is_to_go=is_to_go)
    return data


def named_data(named: Path | None) -> "DataDirectory":
    """The data directory that is meant, which need not be there."""
    return DataDirectory(default_data(os.environ) if named is None else named.absolute())


class DataDirectory:
    """Everything that an installation keeps, but its backups if they are elsewhere."""

    def __init__(self, root: Path) -> None:
        """Name a directory; nothing is read yet."""
        self.root = root
        self.version_file = root / "version"
        self.settings_file = root / "settings.toml"
        self.key_file = root / "key"
        self.users_file = root / "users.json"
        self.clouds_file = root / "clouds.yaml"
        self.ledger_file = root / "ledger.db"
        self.read_models_file = root / "read.db"
        self.gateway_file = root / "gateway"
        self.run_file = root / "run"
        self.lock_file = root / "lock"
        self.rebuild_lock_file = root / "rebuild.lock"
        self.cloud = root / "cloud"
        self.own_backups = root / "backups"
        self._made: list[Path] = []

    @property
    def is_complete(self) -> bool:
        """Whether a first start came to its end here."""
        return self.version_file.exists()

    @property
    def is_going(self) -> bool:
        """Whether a purge was begun here."""
        return self.is_complete and self.version_file.read_text().strip() == _GOING

    @property
    def is_untouched(self) -> bool:
        """Whether there is nothing here: no first start was begun, or it was refused."""
        try:
            return not any(self.root.iterdir())
        except FileNotFoundError:
            return True
        except OSError:
            return False  # whoever opens it is told why

    def check(self, *, is_to_go: bool = False) -> None:
        """See that a control plane of this version has been here, and that it is not on its way out unless it `is_to_go`.

        Raises:
            BadInput: it has not; says what to do.
        """
        try:
            version = self.version_file.read_text().strip()
        except FileNotFoundError:
            raise BadInput(
                f"there is no data directory at {self.root}; name another with --data or {DATA_VARIABLE}, "
                f"or make this one: `muniment up --data {shlex.quote(str(self.root))}`"
            ) from None
        except OSError as error:
            raise BadInput(f"{self.root} cannot be read: {error.strerror}") from error
        if version == _GOING:
            if is_to_go:
                return
            raise BadInput(
                f"a purge of {self.root} was begun and did not come to its end; finish it: "
                f"`muniment down --purge --data {shlex.quote(str(self.root))}`"
            )
        if version != VERSION:
            raise BadInput(
                f"{self.root} is of version {version[:20]!r}; this program works with version {VERSION}, "
                "so use the release that made it"
            )

    def begin_purge(self) -> None:
        """From here on nothing starts here any more, and only a purge goes on: half of an installation looks like a whole."""
        write_durably(self.version_file, f"{_GOING}\n".encode())

    def make(self) -> None:
        """Make the directory for a first start, or take one that a first start left unfinished.

        Raises:
            BadInput: something else lies there, it cannot be written, or its path has a character that programs of the
                engines hand to a shell unquoted.
        """
        if unfit := sorted({c for c in str(self.root) if c in _UNFIT or not c.isprintable()}):
            raise BadInput(
                f"{str(self.root)!r} holds {unfit[0]!r}, which programs of databases stumble over; name another"
            )
        missing = [folder for folder in (self.root, *self.root.parents) if not folder.exists()]
        try:
            for folder in reversed(missing):
                folder.mkdir(mode=0o700, exist_ok=True)
                self._made.insert(0, folder)
                if folder != self.root and os.geteuid() == 0:
                    folder.chmod(0o711)  # the users of engines pass through
            strangers = {entry.name for entry in os.scandir(self.root)} - self._own_names()
        except OSError as error:
            raise BadInput(f"{self.root} cannot be made: {error.strerror}") from error
        if strangers:
            raise BadInput(f"{self.root} holds other things ({min(strangers)}); name an empty directory")

    def unmake(self) -> None:
        """Leave nothing of a first start that was refused before it made more than settings.

        The caller holds the lock.
        """
        self.settings_file.unlink(missing_ok=True)
        if {entry.name for entry in os.scandir(self.root)} == {self.lock_file.name}:
            self.lock_file.unlink()
        for folder in self._made:
            try:
                folder.rmdir()
            except OSError:
                return  # somebody else put something there

    def check_passable(self) -> None:
        """See that the users of engines, of which root gives each instance its own, can reach what is theirs in here.

        Raises:
            BadInput: a directory above lets only its owner through.
        """
        if os.geteuid() != 0:
            return
        for folder in self.root.resolve().parents:
            if not folder.stat().st_mode & stat.S_IXOTH:
                raise BadInput(
                    f"as root, every database runs as a user of its own, and {folder} lets no other user through; "
                    f"choose another place with --data, or run: chmod o+x {folder}"
                )

    def lock(self) -> IO[str]:
        """Become the one control plane here; the lock ends with the file that is returned, or with this process.

        Raises:
            BadInput: another one runs or ended this moment, or the directory cannot be written.
        """
        try:
            file = self.lock_file.open("a+")
        except OSError as error:
            raise BadInput(f"{self.root} cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            raise BadInput(f"a control plane already runs on {self.root} (process {holder})") from None
        if not self._is_lock(file):
            file.close()
            raise BadInput(f"another first start on {self.root} was refused at this moment; start again")
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        return file

    @contextmanager
    def rebuilding(self) -> Iterator[None]:
        """Be the one who rebuilds the read models here, beside the control plane or without it.

        Raises:
            BadInput: somebody else does.
        """
        with self.rebuild_lock_file.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise BadInput(
                    f"another `muniment rebuild` is at work on {self.root}; nothing was changed"
                ) from None
            yield

    def _is_lock(self, file: IO[str]) -> bool:
        """Whether others who come will lock the same file: a first start that is refused takes its own away."""
        try:
            return os.path.samestat(os.fstat(file.fileno()), self.lock_file.stat())
        except OSError:
            return False

    def holder(self) -> int | None:
        """The process id of the control plane that runs here, if one does."""
        try:
            with self.lock_file.open() as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except OSError:
                    return int(file.read() or 0) or None
        except (FileNotFoundError, ValueError):
            return None
        return None

    def layout(self) -> Layout:
        """Where the local cloud keeps what. The short directory for sockets need not be there; its name is drawn once."""
        if not self.run_file.exists():
            self._draw_run()
        return Layout(root=self.cloud, run=Path(self._run_lines()[0]), gateway_file=self.gateway_file)

    @property
    def home(self) -> Path | None:
        """The path under which this directory got its directory for sockets; None where nothing tells."""
        lines = self._run_lines() if self.run_file.exists() else []
        return Path(lines[1]) if len(lines) > 1 else None

    def settle(self) -> bool:
        """Make this path the home of the directory, as far as it was another's; whether it was.

        The directory for sockets stays with the old path: a copy that settles shares none with its original.
        """
        if self.home == self.root:
            return False
        if self.home is None:
            self._write_run(self.layout().run)
            return False
        is_linked = self.home.exists()  # then it is this very directory
        if not is_linked:
            self._draw_run()
        return not is_linked

    def _run_lines(self) -> list[str]:
        return self.run_file.read_text().splitlines()

    def _draw_run(self) -> None:
        parent = Path("/run/muniment") if os.geteuid() == 0 else Path(f"/tmp/muniment-{os.geteuid()}")  # noqa: S108 - checked when it is made
        self._write_run(parent / secrets.token_hex(4))

    def _write_run(self, run: Path) -> None:
        write_durably(self.run_file, f"{run}\n{self.root}\n".encode())

    def _own_names(self) -> set[str]:
        names = {value.name for value in vars(self).values() if isinstance(value, Path)} - {self.root.name}
        # Files beside which a new content was being written, and those of SQLite.
        temporary = {
            e.name for e in os.scandir(self.root) if e.name.startswith(tuple(f".{n}-" for n in names))
        }
        return names | temporary | {f"{n}{end}" for n in names for end in ("-wal", "-shm", "-journal")}
