"""A driver of an engine that only sleeps: for tests of the agent that need real processes and no database."""

import hashlib
import io
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from muniment.contract.control import ControlDriver
from muniment.contract.errors import Code, OpFailed
from muniment.contract.guest import BackupFacts, BackupSource, GuestDriver, Job
from muniment.contract.hooks import hookimpl
from muniment.contract.manifest import DatastoreSupport, Manifest, VersionSupport
from muniment.contract.messages import Health, HealthState
from muniment.contract.ops import Account, Bootstrap, Databases, DatabaseSpec, Install, Installed, Page
from muniment.secret import Secret

MANIFEST = Manifest(
    driver="toy",
    version="1.0",
    control="toy_driver:ToyControl",
    guest="toy_driver:ToyGuest",
    datastores=(DatastoreSupport(name="toy", versions=(VersionSupport(name="1", number="1.0"),)),),
    capabilities=frozenset({"core", "databases", "backup.full", "restore"}),
    backup_methods=("full", "fails"),
)


@hookimpl
def muniment_register_drivers() -> list[Manifest]:
    """The one driver here."""
    return [MANIFEST]


class ToyControl(ControlDriver):
    """Knows nothing that could be wrong."""

    @property
    def manifest(self) -> Manifest:
        """See `ControlDriver`."""
        return MANIFEST

    def port(self) -> int:
        """See `ControlDriver`."""
        return 1

    def check_database(self, database: DatabaseSpec) -> None:
        """Any name is fine."""

    def check_account(self, account: Account) -> Account:
        """Any account is fine."""
        return account

    def check_password(self, password: Secret) -> None:
        """Any password is fine."""

    def base_config(self, *, version: str, memory_mib: int) -> dict[str, str]:
        """None."""
        return {}


class ToyGuest(GuestDriver):
    """`install` does what the version says; the engine is `sleep`; a database is a directory."""

    def install(self, install: Install, job: Job) -> Installed:
        """`slow`: until stopped; `die`: vanish; `die-once`: vanish the first time; `bug`; `fail`; else succeed."""
        match install.version:
            case "slow":
                while True:
                    job.progress("sleeping")
                    time.sleep(0.01)
            case "stubborn":
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                job.progress("ignoring")
                self.host.runtime.run(["/bin/sleep", "1000"], timeout_s=1000)
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "die-once" if not (self.host.config.outside / "died").exists():
                (self.host.config.outside / "died").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            case "bug":
                raise ZeroDivisionError("a text that may hold a secret")
            case "fail":
                raise OpFailed(Code.IMAGE_UNAVAILABLE, "there is none")
        return Installed(server_version=install.version)

    def bootstrap(self, bootstrap: Bootstrap, job: Job) -> Health:
        """Start the engine."""
        return self.start()

    def start(self) -> Health:
        """Start `sleep`, unless a file says that it cannot."""
        if (self.host.config.outside / "broken").exists():
            raise OpFailed(Code.PRECONDITION_FAILED, "it is broken")
        self.host.runtime.start_server(["/bin/sleep", "100000"])
        return self.probe()

    def stop(self, grace_s: float) -> Health:
        """Stop it."""
        self.host.runtime.stop_server(signal=signal.SIGTERM, grace_s=grace_s)
        return self.probe()

    def probe(self) -> Health:
        """Whether it lives."""
        running = self.host.runtime.server().running
        return Health(state=HealthState.HEALTHY if running else HealthState.STOPPED)

    def list_databases(self, page: Page) -> Databases:
        """Directories."""
        names = sorted(os.listdir(self.host.data.outside))
        return Databases(items=tuple(DatabaseSpec(name=name) for name in names))

    def create_database(self, database: DatabaseSpec) -> None:
        """Make a directory; `crash` in its name kills whoever does it, afterwards."""
        (self.host.data.outside / database.name).mkdir(exist_ok=True)

    def drop_database(self, name: str) -> None:
        """Remove a directory."""
        (self.host.data.outside / name).rmdir()

    @contextmanager
    def open_backup(self, method: str) -> Iterator[BackupSource]:
        """A backup of a size that a file tells, of bytes that do not compress; `fails`: the tool fails at its end."""
        size = int((self.host.config.outside / "size").read_text())
        yield ToySource(size, fails=method == "fails")

    def restore(self, stream: IO[bytes], *, server_version: str, facts: dict[str, str]) -> None:
        """Write what comes into a file; a name in the facts is written as a file too."""
        with open(self.host.data.outside / "restored", "wb") as file:
            while chunk := stream.read(65536):
                file.write(chunk)
        for name in facts.values():
            (self.host.data.outside / name).touch()

    def wipe(self) -> None:
        """Remove all files."""
        for path in self.host.data.outside.iterdir():
            path.unlink()


class ToySource:
    """See `BackupSource`."""

    tool = "toy"

    def __init__(self, size: int, *, fails: bool = False) -> None:
        """So many bytes."""
        self.stream: IO[bytes] = io.BytesIO(toy_bytes(size))
        self.estimated_bytes = size
        self._fails = fails

    def finish(self) -> BackupFacts:
        """It went well, or not."""
        if self._fails:
            raise OpFailed(Code.INTERNAL, "the tool ended with 1")
        return BackupFacts(start_position="1", end_position="2", server_version="1.0", facts={})


def toy_bytes(size: int) -> bytes:
    """The same bytes each time, and hard to compress."""
    blocks = (hashlib.sha256(str(n).encode()).digest() for n in range(size // 32 + 1))
    return b"".join(blocks)[:size]
