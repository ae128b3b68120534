"""Backup on one server, restore on another."""

import io
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.postgresql_host import INSTALL, QuietJob, base_config, connect, new_instance

from muniment.contract.errors import Code, OpFailed
from muniment.contract.guest import BackupFacts
from muniment.contract.messages import HealthState
from muniment.contract.ops import Account, DatabaseSpec, UserSpec
from muniment.secret import Secret
from muniment_postgresql.data_directory import RESTORING
from muniment_postgresql.guest import PostgresqlGuest

pytestmark = pytest.mark.engine

FACTS = {"locale_provider": "builtin"}


@pytest.fixture
def target(cache: Path) -> Iterator[PostgresqlGuest]:
    """An instance with its programs, to restore into."""
    with new_instance(cache) as instance:
        instance.install(INSTALL, QuietJob())
        yield instance


@pytest.fixture(scope="module")
def taken(guest: PostgresqlGuest) -> tuple[bytes, BackupFacts]:
    """A backup of a server with a database, a user, ten rows and the superuser."""
    guest.create_database(DatabaseSpec(name="d"))
    guest.create_user(UserSpec(account=Account(name="u"), databases=("d",)), Secret("p"))
    guest.enable_superuser(Secret("power"))
    with closing(connect(guest, "u", "p", "d")) as session:
        session.execute("CREATE TABLE t AS SELECT generate_series(1, 10) AS a")
    return _read(guest)


def _read(guest: PostgresqlGuest) -> tuple[bytes, BackupFacts]:
    with guest.open_backup("full") as source:
        content = source.stream.read()
        return content, source.finish()


def _fill(target: PostgresqlGuest, content: bytes, facts: BackupFacts) -> None:
    target.restore(io.BytesIO(content), server_version=facts.server_version, facts=facts.facts)


def test_round_trip(taken: tuple[bytes, BackupFacts], target: PostgresqlGuest) -> None:
    """A new server has the rows, the databases and the accounts with their passwords; a grant works as before."""
    content, facts = taken
    _fill(target, content, facts)
    health = target.bootstrap(base_config(), QuietJob())

    assert health.state is HealthState.HEALTHY
    assert not health.read_only
    with closing(connect(target, "u", "p", "d")) as session:
        assert session.execute("SELECT count(*) FROM t").fetchone() == (10,)
        session.execute("INSERT INTO t VALUES (11); CREATE TABLE more (a int)")
    target.create_user(UserSpec(account=Account(name="late"), databases=("d",)), Secret("q"))
    with closing(connect(target, "late", "q", "d")) as session:
        session.execute("DROP TABLE t, more")
    assert target.superuser_status().enabled


def test_facts(taken: tuple[bytes, BackupFacts], guest: PostgresqlGuest) -> None:
    """The facts name positions, version and locale; the estimate is of the right size."""
    content, facts = taken

    assert facts.start_position < facts.end_position
    assert facts.server_version.startswith("18.")
    assert facts.facts["locale_provider"] == "builtin"
    assert facts.facts["locale"] == "C.UTF-8"
    with guest.open_backup("full") as source:
        assert 0.5 < source.estimated_bytes / len(content) < 5


def test_nothing_is_left_on_the_source(taken: tuple[bytes, BackupFacts], guest: PostgresqlGuest) -> None:
    """No slot that would keep the log for ever stays behind, also after a backup that was broken off."""
    with guest.open_backup("full") as source:
        source.stream.read(1000)

    with closing(connect(guest, "root", "power", "postgres")) as root:
        while root.execute("SELECT 1 FROM pg_stat_activity WHERE backend_type = 'walsender'").fetchone():
            pass
        assert root.execute("SELECT slot_name FROM pg_replication_slots").fetchall() == []


def test_a_failing_tool_fails_the_backup(guest: PostgresqlGuest, taken: tuple[bytes, BackupFacts]) -> None:
    """A tool that is cut off from the server ends in an error, never in a shorter backup."""
    with guest.open_backup("full") as source:
        source.stream.read(1000)
        with closing(connect(guest, "root", "power", "postgres")) as root:
            root.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE backend_type = 'walsender'"
            )
        while source.stream.read(1 << 20):
            pass
        with pytest.raises(OpFailed, match="pg_basebackup ended with"):
            source.finish()


def test_tablespaces_are_refused(guest: PostgresqlGuest, taken: tuple[bytes, BackupFacts]) -> None:
    """A tablespace lies outside of what is backed up; the refusal names it."""
    place = guest.host.run.outside / "space"
    place.mkdir()
    guest.host.give_to_engine(place)
    with closing(connect(guest, "root", "power", "postgres")) as root:
        root.execute(f"CREATE TABLESPACE elsewhere LOCATION '{place}'")
        try:
            with pytest.raises(OpFailed, match="elsewhere") as failed:
                _read(guest)
        finally:
            root.execute("DROP TABLESPACE elsewhere")

    assert failed.value.error.code is Code.PRECONDITION_FAILED


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda whole: whole[: len(whole) // 2], id="cut off"),
        pytest.param(lambda whole: b"", id="empty"),
        pytest.param(lambda whole: b"no tar at all" * 1000, id="no tar"),
        pytest.param(lambda whole: _without_manifest(whole), id="without its manifest"),
        pytest.param(lambda whole: whole.replace(b"PG_VERSION", b"PG_VERSIOM", 1), id="a file renamed"),
        pytest.param(lambda whole: _tar_of("../../outside"), id="path out"),
        pytest.param(lambda whole: _tar_of("/tmp/outside"), id="absolute path"),
        pytest.param(lambda whole: _tar_of("pg_tblspc/1", kind=tarfile.SYMTYPE), id="link"),
        pytest.param(lambda whole: _tar_of("base/fifo", kind=tarfile.FIFOTYPE), id="pipe"),
    ],
)
def test_damaged_backup(taken: tuple[bytes, BackupFacts], target: PostgresqlGuest, damage: object) -> None:
    """A backup that is not whole is an error; what it left is not started, and a wipe makes room for a good one."""
    content, facts = taken
    assert callable(damage)

    with pytest.raises(OpFailed) as failed:
        _fill(target, damage(content), facts)

    assert failed.value.error.code is Code.INTEGRITY_FAILED
    assert (target.host.data.outside / RESTORING).exists()
    with pytest.raises(OpFailed):
        target.bootstrap(base_config(), QuietJob())
    with pytest.raises(OpFailed, match="not empty"):
        _fill(target, content, facts)
    target.wipe()
    _fill(target, content, facts)


@pytest.mark.parametrize(
    ("version", "facts"),
    [("17.5", FACTS), ("18.1", {"locale_provider": "icu"}), ("18.1", {})],
    ids=["major version", "locale provider", "no facts"],
)
def test_what_does_not_fit(target: PostgresqlGuest, version: str, facts: dict[str, str]) -> None:
    """A backup of another major version or locale provider is refused before a byte is written."""
    with pytest.raises(OpFailed) as failed:
        target.restore(io.BytesIO(b""), server_version=version, facts=facts)

    assert failed.value.error.code is Code.PRECONDITION_FAILED
    assert list(target.host.data.outside.iterdir()) == []


def test_a_running_server_is_not_wiped(guest: PostgresqlGuest) -> None:
    """The data directory of a running server is not emptied."""
    with pytest.raises(OpFailed) as failed:
        guest.wipe()

    assert failed.value.error.code is Code.PRECONDITION_FAILED


def test_unknown_method(guest: PostgresqlGuest) -> None:
    """A method that the manifest does not name is refused."""
    with pytest.raises(OpFailed) as failed, guest.open_backup("psychic"):
        pass

    assert failed.value.error.code is Code.UNSUPPORTED


def _without_manifest(whole: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(whole)) as source, tarfile.open(fileobj=out, mode="w") as copy:
        for member in source:
            if member.name != "backup_manifest":
                copy.addfile(member, source.extractfile(member))
    return out.getvalue()


def _tar_of(name: str, kind: bytes = tarfile.REGTYPE) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.type = kind
        member.linkname = "/etc"
        archive.addfile(member)
    return out.getvalue()
