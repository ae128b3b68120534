"""What only a file can get wrong: identity of positions, several processes, starting at once, other people's files."""

import json
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import UUID, uuid4

import pytest
from tests.support.drawers import DRAWER, moved, opened
from tests.support.ledger_process import open_folder
from tests.support.ledgers import ABOUT, altering, ledger_on

from muniment.fault import Fault
from muniment.secrets.keys import KeyEncryptionKeys
from muniment.store.ledger import Ledger
from muniment.store.sqlite import open_sqlite
from muniment.store.state import SCHEMA_VERSION
from muniment.store.verify import verify_log
from muniment.store.writes import DeleteKey, PutKey

ROOT = Path(__file__).parents[3]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database is made."""
    return tmp_path / "ledger.db"


def _run_processes(folder: Path, work: str, count: int) -> list[Any]:
    """The answers of `count` processes that do the same work at once."""
    command = [sys.executable, "-m", "tests.support.ledger_process", str(folder), work]
    started = [
        subprocess.Popen(
            [*command, str(number)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for number in range(count)
    ]
    answers = []
    for process in started:
        answer, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        answers.append(json.loads(answer))
    return answers


def test_a_position_is_never_drawn_again(path: Path) -> None:
    """After the last row was deleted by hand its position stays unused, also by a new process (a trap of row ids)."""
    recorder = open_sqlite(path)
    ledger_on(recorder).save([opened(uuid4()), opened(uuid4())], ABOUT)
    with altering(recorder) as cursor:
        cursor.execute("DELETE FROM events WHERE position = 2")
    recorder.close()
    assert ledger_on(open_sqlite(path)).save([opened(uuid4())], ABOUT).position == 3


def test_vacuum_leaves_positions_alone(path: Path) -> None:
    """Compacting the file does not number events anew (a trap of row ids)."""
    recorder = open_sqlite(path)
    ledger = ledger_on(recorder)
    ledger.save([opened(uuid4()) for _ in range(4)], ABOUT)
    with altering(recorder) as cursor:
        cursor.execute("DELETE FROM events WHERE position = 2")
    with sqlite3.connect(path) as connection:
        connection.execute("VACUUM")
    connection.close()
    assert [entry.position for entry in ledger.log.read(0, 10)] == [1, 3, 4]


def test_two_ledgers_on_one_file_share_one_log(path: Path) -> None:
    """A second ledger of the same process is no second application with a log of its own (a trap of table names)."""
    first, second, drawer = ledger_on(open_sqlite(path)), ledger_on(open_sqlite(path)), uuid4()
    first.save([opened(drawer)], ABOUT)
    second.save([moved(drawer, 2)], ABOUT)
    assert [entry.position for entry in first.log.read(0, 10)] == [1, 2]
    assert first.load(DRAWER, drawer) == second.load(DRAWER, drawer)


def test_opening_the_file_again_drops_no_lock(path: Path) -> None:
    """A second ledger in the process, opened and closed, does not let another process take the file from the first.

    POSIX drops all locks of a process on a file when any descriptor of it is closed.
    """
    first = ledger_on(open_sqlite(path))
    first.save([opened(uuid4())], ABOUT)
    open_sqlite(path).close()
    script = (
        "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('PRAGMA journal_mode = DELETE')"
    )
    taking = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, timeout=60)
    assert "database is locked" in taking.stderr


def test_the_environment_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library reads settings from the environment; ours does not let it (a trap of application names)."""
    for name in (
        "LEDGER_SQLITE_DBNAME",
        "SQLITE_DBNAME",
        "PERSISTENCE_MODULE",
        "COMPRESSOR_TOPIC",
        "CIPHER_TOPIC",
    ):
        monkeypatch.setenv(name, "nowhere:at_all")
    drawer = uuid4()
    ledger = ledger_on(open_sqlite(path))
    ledger.save([opened(drawer)], ABOUT)
    assert ledger.load(DRAWER, drawer) is not None


def test_the_file_is_ours_alone(path: Path) -> None:
    """The database and what SQLite keeps beside it are readable by their owner only."""
    ledger_on(open_sqlite(path)).save([opened(uuid4())], ABOUT)
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


def test_every_connection_is_durable(path: Path) -> None:
    """WAL, and synchronous FULL: what a save acknowledged survives the power."""
    recorder = open_sqlite(path)
    with recorder.writing() as writer, recorder.reading() as reader:
        for cursor in (writer, reader):
            cursor.execute("PRAGMA synchronous", {})
            assert cursor.fetchall()[0][0] == 2
            cursor.execute("PRAGMA journal_mode", {})
            assert cursor.fetchall()[0][0] == "wal"


def test_a_deleted_key_is_overwritten(path: Path) -> None:
    """An erased key is not in the file any more, in no free page, once the write-ahead log is folded in."""
    recorder = open_sqlite(path)
    ledger = ledger_on(recorder)
    canary = b"canary" * 8
    ledger.save([], ABOUT, writes=[PutKey("project-dek", "project-1", 1, canary)])
    ledger.save([], ABOUT, writes=[DeleteKey("project-dek", "project-1")])
    recorder.close()
    assert all(canary not in file.read_bytes() for file in path.parent.iterdir())


def test_a_read_sees_one_moment_while_others_write(path: Path) -> None:
    """A reader keeps its snapshot, and a writer does not wait for it."""
    reading, writing = ledger_on(open_sqlite(path)), ledger_on(open_sqlite(path))
    with reading.reading() as reader:
        before = reader.head()
        thread = Thread(target=lambda: writing.save([opened(uuid4())], ABOUT))
        thread.start()
        thread.join(timeout=20)
        assert (before, reader.head()) == (0, 0)
    assert reading.log.head() == 1


def test_a_reader_hears_of_another_ledgers_save(path: Path) -> None:
    """Saves that this ledger did not make are found by looking."""
    following, writing = ledger_on(open_sqlite(path)), ledger_on(open_sqlite(path))
    thread = Thread(target=lambda: writing.save([opened(uuid4())], ABOUT))
    thread.start()
    assert following.log.wait(0, timeout_s=20)
    thread.join()


def test_processes_that_start_at_once_make_one_schema(tmp_path: Path) -> None:
    """Six processes open a database that is not there and save: one schema, one project key, every label opens."""
    KeyEncryptionKeys.create(tmp_path / "keys")
    drawers = _run_processes(tmp_path, "first", 6)
    ledger = open_folder(tmp_path)
    labels = {state.label for state in (ledger.load(DRAWER, UUID(drawer)) for drawer in drawers) if state}
    assert labels == {f"drawer {number}" for number in range(6)}
    with ledger.reading() as reader:
        assert len(reader.keys("project-dek", "project-1")) == 1


def test_processes_write_one_log(tmp_path: Path) -> None:
    """Four processes, forty saves each: no error, every position once, a chain that holds."""
    KeyEncryptionKeys.create(tmp_path / "keys")
    positions = sorted(position for answer in _run_processes(tmp_path, "append", 4) for position in answer)
    assert positions == list(range(1, 161))
    assert verify_log(open_sqlite(tmp_path / "ledger.db")) == (160, 160, None)


def test_processes_share_one_quota(tmp_path: Path) -> None:
    """Four processes ask for forty of twelve instances: twelve are granted."""
    KeyEncryptionKeys.create(tmp_path / "keys")
    assert sum(_run_processes(tmp_path, "reserve", 4)) == 12


def test_another_schema_version_is_refused(path: Path) -> None:
    """A database of another release is named with both versions, and nothing in it is touched."""
    recorder = open_sqlite(path)
    with altering(recorder) as cursor:
        cursor.execute("UPDATE schema_version SET version = 99")
    recorder.close()
    with pytest.raises(Fault, match=rf"schema version 99; this release reads {SCHEMA_VERSION}"):
        open_sqlite(path)


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    """Somebody's text file is left as it is."""
    path.write_text("not a database\n" * 100)
    with pytest.raises(Fault) as fault:
        open_sqlite(path)
    assert not fault.value.retryable
    assert path.read_text() == "not a database\n" * 100


def test_an_empty_file_or_a_foreign_database_is_refused(path: Path) -> None:
    """What holds no ledger is not turned into one."""
    path.touch()
    with pytest.raises(Fault, match="holds no ledger"):
        open_sqlite(path)
    with sqlite3.connect(path) as foreign:
        foreign.execute("CREATE TABLE theirs (x)")
    foreign.close()
    with pytest.raises(Fault, match="holds no ledger"):
        open_sqlite(path)


def test_making_a_ledger_leaves_nothing_beside_it(path: Path) -> None:
    """After the last connection is closed there is one file."""
    open_sqlite(path).close()
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """The path is named, and nothing is made."""
    with pytest.raises(Fault, match="no-such-folder"):
        open_sqlite(tmp_path / "no-such-folder" / "ledger.db")


def test_a_closed_ledger_is_a_fault(path: Path) -> None:
    """Using a store that was given back is the store's own error."""
    ledger: Ledger = ledger_on(open_sqlite(path))
    ledger.close()
    with pytest.raises(Fault):
        ledger.save([opened(uuid4())], ABOUT)
