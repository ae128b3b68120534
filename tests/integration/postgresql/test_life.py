"""The life of one server: made, stopped, killed, begun again after a crash at any point."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.postgresql_host import (
    INSTALL,
    QuietJob,
    base_config,
    connect,
    new_instance,
    running_instance,
)

from muniment.contract.errors import Code, OpFailed
from muniment.contract.messages import HealthState
from muniment.contract.ops import Account, DatabaseSpec, Install, Page, UserSpec
from muniment.secret import Secret
from muniment_postgresql.data_directory import COPYING, RESTORING, DataDirectory
from muniment_postgresql.guest import PostgresqlGuest

pytestmark = pytest.mark.engine


@pytest.fixture
def fresh(cache: Path) -> Iterator[PostgresqlGuest]:
    """An instance with its programs, and nothing in its data directory."""
    with new_instance(cache) as instance:
        instance.install(INSTALL, QuietJob())
        yield instance


def test_stop_and_start(cache: Path) -> None:
    """A stopped server says so, starts again with its data, and a second start or stop changes nothing."""
    with running_instance(cache) as guest:
        guest.create_database(DatabaseSpec(name="kept"))

        assert guest.stop(10).state is HealthState.STOPPED
        assert guest.stop(10).state is HealthState.STOPPED
        assert guest.probe().state is HealthState.STOPPED
        assert guest.start().state is HealthState.HEALTHY
        again = guest.start()

        assert again.server_version.startswith("18.")
        assert [database.name for database in guest.list_databases(Page()).items] == ["kept"]


def test_killed_server(cache: Path) -> None:
    """A server that was killed is found crashed, stopped once it was told to, and recovers what was committed."""
    with running_instance(cache) as guest:
        guest.create_database(DatabaseSpec(name="d"))
        guest.create_user(UserSpec(account=Account(name="u"), databases=("d",)), Secret("p"))
        with closing(connect(guest, "u", "p", "d")) as session:
            session.execute("CREATE TABLE t AS SELECT 1 AS a")
        pid = guest.host.runtime.server().pid
        assert pid is not None

        os.kill(pid, signal.SIGKILL)
        while guest.host.runtime.server().running:
            pass
        assert guest.probe().state is HealthState.CRASHED
        guest.stop(10)
        assert guest.probe().state is HealthState.STOPPED
        guest.start()

        with closing(connect(guest, "u", "p", "d")) as session:
            assert session.execute("SELECT a FROM t").fetchall() == [(1,)]


def test_shared_memory_lies_with_the_data(cache: Path) -> None:
    """Segments that a killed server leaves are files of its data directory, and its next start removes them."""
    with running_instance(cache) as guest:
        folder = guest.host.data.outside / "pg_dynshmem"
        before = {file.name for file in folder.iterdir()}
        pid = guest.host.runtime.server().pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        while guest.host.runtime.server().running:
            pass
        left = {file.name for file in folder.iterdir()}
        guest.stop(10)
        guest.start()
        after = {file.name for file in folder.iterdir()}

    assert left >= before
    assert before
    assert after
    assert not after & left


def test_killed_server_that_is_not_quite_gone(cache: Path) -> None:
    """While the process of a killed server is not buried yet, the next one is started again until it is."""
    with running_instance(cache) as guest:
        pid = guest.host.runtime.server().pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        while guest.host.runtime.server().running:
            pass
        file = guest.host.data.outside / "postmaster.pid"
        with subprocess.Popen(["sleep", "1"], user=file.stat().st_uid, cwd="/") as unburied:
            threading.Thread(target=unburied.wait).start()
            file.write_text(file.read_text().replace(str(pid), str(unburied.pid), 1))

            assert guest.start().state is HealthState.HEALTHY
            assert unburied.poll() is not None


def test_a_new_driver_object_finds_the_server(cache: Path) -> None:
    """What an agent that restarts makes anew knows the server and can operate it."""
    with running_instance(cache) as guest:
        pid = guest.host.runtime.server().pid
        later = PostgresqlGuest(guest.host)

        assert later.probe().state is HealthState.HEALTHY
        later.bootstrap(base_config(), QuietJob())
        later.create_database(DatabaseSpec(name="d"))

        assert guest.host.runtime.server().pid == pid


@pytest.mark.parametrize("point", ["copy_from", "hand_over", "finish"])
def test_crash_while_filling(fresh: PostgresqlGuest, monkeypatch: pytest.MonkeyPatch, point: str) -> None:
    """A bootstrap that died before or after any step of the filling is taken up by the next one."""

    class Crash(BaseException):
        """The process is gone here."""

    real = getattr(DataDirectory, point)

    def die_after(*args: object) -> None:
        real(*args)
        raise Crash

    def die_before(*args: object) -> None:
        raise Crash

    for dying in (die_before, die_after):
        with monkeypatch.context() as patch:
            patch.setattr(DataDirectory, point, dying)
            with pytest.raises(Crash):
                fresh.bootstrap(base_config(), QuietJob())

    assert fresh.bootstrap(base_config(), QuietJob()).state is HealthState.HEALTHY
    assert not (fresh.host.data.outside / COPYING).exists()


def test_foreign_files_are_not_touched(fresh: PostgresqlGuest) -> None:
    """A data directory that holds something else is refused and left as it is."""
    foreign = fresh.host.data.outside / "letter.txt"
    foreign.write_text("dear")

    with pytest.raises(OpFailed) as failed:
        fresh.bootstrap(base_config(), QuietJob())

    assert failed.value.error.code is Code.PRECONDITION_FAILED
    assert foreign.read_text() == "dear"


def test_an_unfinished_restore_is_not_started(fresh: PostgresqlGuest) -> None:
    """What a restore left half-done is neither started nor replaced by an empty server."""
    (fresh.host.data.outside / RESTORING).touch()

    with pytest.raises(OpFailed) as failed:
        fresh.bootstrap(base_config(), QuietJob())

    assert failed.value.error.code is Code.PRECONDITION_FAILED


def test_a_bad_option_says_why_the_engine_exited(fresh: PostgresqlGuest) -> None:
    """A configuration with which the engine does not start is a failure at once, not after the time limit."""
    wanted = base_config()
    wanted.base_config["postgresql.conf"] += "no_such_option = 1\n"

    with pytest.raises(OpFailed, match='unrecognized configuration parameter "no_such_option"') as failed:
        fresh.bootstrap(wanted, QuietJob())

    assert failed.value.error.code is Code.DB_REFUSED


def test_another_version_is_refused(fresh: PostgresqlGuest) -> None:
    """Programs of another version than the one asked for are refused, and the earlier ones stay in use."""
    with pytest.raises(OpFailed) as failed:
        fresh.install(Install(datastore="postgresql", version="1"), QuietJob())

    assert failed.value.error.code is Code.IMAGE_UNAVAILABLE
    assert fresh.bootstrap(base_config(), QuietJob()).state is HealthState.HEALTHY


def test_nothing_runs_before_install(cache: Path) -> None:
    """Without programs a bootstrap says what comes first."""
    with new_instance(cache) as guest, pytest.raises(OpFailed, match=r"server\.install") as failed:
        guest.bootstrap(base_config(), QuietJob())

    assert failed.value.error.code is Code.PRECONDITION_FAILED


def test_a_pid_file_from_before_the_boot(cache: Path) -> None:
    """A pid that belongs to another server of the same user since a reboot does not keep the engine from starting."""
    with running_instance(cache) as neighbour, running_instance(cache) as guest:
        guest.stop(10)
        lines = ["0", str(guest.host.data.inside), "1000000000", "1", "", "", "0 0", "ready"]
        lines[0] = str(neighbour.host.runtime.server().pid)
        stale = guest.host.data.outside / "postmaster.pid"
        stale.write_text("\n".join(lines))
        guest.host.give_to_engine(stale)

        assert guest.start().state is HealthState.HEALTHY


def test_planted_links_are_not_followed(cache: Path, tmp_path: Path) -> None:
    """Links that a superuser puts into its data directory lead neither a wipe nor a start out of it."""
    outside = tmp_path / "precious"
    outside.mkdir()
    (outside / "file").write_text("1\n2\n3\n")
    with running_instance(cache) as guest:
        guest.stop(10)
        data = guest.host.data.outside
        (data / "postmaster.pid").symlink_to(outside / "file")
        (data / "muniment.link").symlink_to(outside)
        (data / RESTORING).symlink_to(tmp_path / "made-through-a-link")

        guest.wipe()

        assert list(data.iterdir()) == []
    assert (outside / "file").read_text() == "1\n2\n3\n"
    assert not (tmp_path / "made-through-a-link").exists()
