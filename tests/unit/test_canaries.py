"""The search for secrets finds them however they are written."""

import base64
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.canaries import Canary, Find, in_bytes, in_files

_SECRET = b"a/secret+with?odd ends"
_CANARY = Canary("it", _SECRET, frozenset({"allowed"}))


@pytest.mark.parametrize("before", [b"", b"x", b"xy", b"xyz"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode, bytes, bytes.hex])
def test_any_writing_is_found(before: bytes, encode: object) -> None:
    """As it is, in hexadecimal, or anywhere inside of a base64 text."""
    assert callable(encode)
    written = encode(before + _SECRET + b"tail")
    data = written if isinstance(written, bytes) else written.encode()
    assert in_bytes(b"noise " + data + b" noise", [_CANARY], "here") == {Find("it", "here")}


def test_what_is_not_there_is_not_found() -> None:
    """All but its last byte is not it."""
    assert in_bytes(_SECRET[:-1] + b"!", [_CANARY], "here") == set()


def test_files_below_are_searched(tmp_path: Path) -> None:
    """In folders and behind holes; not where it is allowed."""
    (tmp_path / "deep" / "down").mkdir(parents=True)
    with (tmp_path / "deep" / "down" / "image").open("wb") as file:
        file.truncate(64 * 1024 * 1024)
        file.seek(40 * 1024 * 1024 - 5)
        file.write(_SECRET)
    (tmp_path / "allowed").write_bytes(_SECRET)
    assert in_files(tmp_path, [_CANARY]) == {Find("it", str(tmp_path / "deep" / "down" / "image"))}


def test_a_piece_may_end_within_it(tmp_path: Path) -> None:
    """Large files are read in pieces that overlap."""
    (tmp_path / "large").write_bytes(b"-" * (8 * 1024 * 1024 - 7) + _SECRET + b"-" * 100)
    assert in_files(tmp_path, [_CANARY]) == {Find("it", str(tmp_path / "large"))}


def test_rows_that_are_only_in_the_log_of_a_database_are_found(tmp_path: Path) -> None:
    """What SQLite has written ahead counts."""
    with closing(sqlite3.connect(tmp_path / "db")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (value BLOB)")
        connection.execute("INSERT INTO t VALUES (?)", (_SECRET,))
        connection.commit()
        assert Find("it", str(tmp_path / "db-wal")) in in_files(tmp_path, [_CANARY])
