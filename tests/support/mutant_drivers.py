"""Drivers that each break one promise of the contract: the conformance kit has to find every one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import msgspec

from muniment.contract.errors import Code, OpFailed
from muniment.contract.guest import BackupFacts, BackupSource, GuestDriver
from muniment.contract.manifest import Manifest
from muniment.contract.messages import Health, HealthState
from muniment.contract.ops import Account, DatabaseSpec, Page, SuperuserState
from muniment_postgresql.control import PostgresqlControl
from muniment_postgresql.guest import PostgresqlGuest
from muniment_postgresql.manifest import MANIFEST


def _mutant(name: str, **fields: object) -> Manifest:
    """The real driver's manifest, naming the mutant's halves."""
    return msgspec.structs.replace(
        MANIFEST,
        driver=f"mutant-{name.lower()}",
        control=f"tests.support.mutant_drivers:{name}Control",
        guest=f"tests.support.mutant_drivers:{name}Guest",
        **fields,
    )


class MutantControl(PostgresqlControl):
    """Knows what the real one knows, under another manifest."""

    MANIFEST: ClassVar[Manifest]

    @property
    def manifest(self) -> Manifest:
        """The mutant's."""
        return self.MANIFEST


LYING = _mutant("Lying")


class LyingControl(MutantControl):
    """Claims users and the superuser."""

    MANIFEST = LYING


class LyingGuest(GuestDriver):
    """Has neither: only the core of the real one."""

    install = PostgresqlGuest.install
    bootstrap = PostgresqlGuest.bootstrap
    start = PostgresqlGuest.start
    stop = PostgresqlGuest.stop
    probe = PostgresqlGuest.probe


PRETENDING = _mutant("Pretending")


class PretendingControl(MutantControl):
    """Claims the superuser."""

    MANIFEST = PRETENDING


class PretendingGuest(PostgresqlGuest):
    """Has the methods, and no more."""

    def superuser_status(self) -> SuperuserState:
        """Refuses."""
        raise OpFailed(Code.UNSUPPORTED, "there is none")


FORGETFUL = _mutant("Forgetful")


class ForgetfulControl(MutantControl):
    """Of the driver that forgets."""

    MANIFEST = FORGETFUL


class ForgetfulGuest(PostgresqlGuest):
    """Answers that access was taken away, and leaves it."""

    def revoke(self, account: Account, database: str) -> None:
        """Does nothing."""
        self.get_user(account)


ONCE = _mutant("Once")


class OnceControl(MutantControl):
    """Of the driver that does everything once."""

    MANIFEST = ONCE


class OnceGuest(PostgresqlGuest):
    """Fails when what it is asked for is there already."""

    def create_database(self, database: DatabaseSpec) -> None:
        """Not idempotent."""
        if any(item.name == database.name for item in self.list_databases(Page()).items):
            raise OpFailed(Code.ALREADY_EXISTS, "there is one")
        super().create_database(database)


HASTY = _mutant("Hasty")


class HastyControl(MutantControl):
    """Of the driver that does not wait."""

    MANIFEST = HASTY


class HastyGuest(PostgresqlGuest):
    """Says that the engine is stopped without stopping it."""

    def stop(self, grace_s: float) -> Health:
        """Answers at once."""
        return Health(state=HealthState.STOPPED)


CARELESS = _mutant("Careless")


class CarelessControl(MutantControl):
    """Of the driver that hands out anything."""

    MANIFEST = CARELESS


class CarelessGuest(PostgresqlGuest):
    """Hands out half a backup and says that all is well."""

    @contextmanager
    def open_backup(self, method: str) -> Iterator[BackupSource]:
        """Loses the first half on the way."""
        with super().open_backup(method) as source:
            yield _Half(source)


class _Half:
    def __init__(self, source: BackupSource) -> None:
        self.tool = source.tool
        self.estimated_bytes = source.estimated_bytes
        self.stream = source.stream
        self._source = source
        source.stream.read(source.estimated_bytes // 2)

    def finish(self) -> BackupFacts:
        return self._source.finish()


SLOPPY = _mutant("Sloppy")


class SloppyControl(MutantControl):
    """Lets every name pass that it does not trip over."""

    MANIFEST = SLOPPY

    def check_database(self, database: DatabaseSpec) -> None:
        """Trips over what is no text."""
        database.name.encode()


class SloppyGuest(PostgresqlGuest):
    """The real one."""
