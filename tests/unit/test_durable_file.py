"""Files that are written whole: replaced, or made where there was none."""

import os
from pathlib import Path

import pytest

from muniment.durable_file import create_durably, write_durably


def test_a_file_is_replaced_with_its_mode(tmp_path: Path) -> None:
    """The new content has the mode and group that were asked for, and nothing lies beside it."""
    path = tmp_path / "file"
    write_durably(path, b"old")
    write_durably(path, b"new", mode=0o640, group=os.getegid())
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", 0o640)
    assert path.stat().st_gid == os.getegid()
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_made_where_there_was_none(tmp_path: Path) -> None:
    """It is closed to others unless asked otherwise, and nothing lies beside it."""
    path = tmp_path / "file"
    create_durably(path, b"first")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"first", 0o600)
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    """A file, and a link to nothing too, is left as it is."""
    path, link = tmp_path / "file", tmp_path / "link"
    create_durably(path, b"first")
    link.symlink_to(tmp_path / "nothing")
    for taken in (path, link):
        with pytest.raises(FileExistsError):
            create_durably(taken, b"second")
    assert path.read_bytes() == b"first"
    assert sorted(tmp_path.iterdir()) == [path, link]
