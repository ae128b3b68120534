"""The data directory: versions, strangers, one control plane at a time."""

import os
from pathlib import Path

import pytest

from muniment.fault import Fault
from muniment_cli.data_directory import DataDirectory, default_data
from muniment_cli.failure import BadInput


def test_no_directory_says_how_to_make_one(tmp_path: Path) -> None:
    """A command on nothing names the ways to name another, and the command that makes it."""
    with pytest.raises(BadInput, match=r"--data or MUNIMENT_DATA.*`muniment up --data .*/none`"):
        DataDirectory(tmp_path / "none").check()


def test_another_version_is_refused(tmp_path: Path) -> None:
    """A directory of another version is refused with both versions."""
    data = DataDirectory(tmp_path)
    data.version_file.write_text("2\n")
    with pytest.raises(BadInput, match=r"version '2'.*version 1"):
        data.check()


def test_a_directory_with_other_things_is_refused(tmp_path: Path) -> None:
    """A first start does not move into a directory that holds something else."""
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(BadInput, match=r"holiday\.jpg"):
        DataDirectory(tmp_path).make()


def test_an_unfinished_first_start_goes_on(tmp_path: Path) -> None:
    """What an interrupted first start left, half-written files too, does not stand in the way of the next one."""
    for name in ("settings.toml", "key", ".users.json-abc", "ledger.db-wal", "lock"):
        (tmp_path / name).touch()
    DataDirectory(tmp_path).make()


def test_one_control_plane_at_a_time(tmp_path: Path) -> None:
    """While one holds the lock, another is refused with its process id; afterwards nobody holds it."""
    data = DataDirectory(tmp_path)
    with data.lock():
        assert data.holder() == os.getpid()
        with pytest.raises(BadInput, match=str(os.getpid())):
            DataDirectory(tmp_path).lock()
    assert data.holder() is None


def test_the_directory_for_sockets_is_short_and_kept(tmp_path: Path) -> None:
    """Whatever the data directory is called, sockets have a short place, the same at every start."""
    deep = tmp_path / ("x" * 200)
    deep.mkdir()
    first, second = DataDirectory(deep).layout(), DataDirectory(deep).layout()
    first.make_run()
    try:
        assert first.run == second.run
        assert len(os.fsencode(first.run)) <= 40
        assert first.run.stat().st_uid == os.geteuid()
    finally:
        first.run.rmdir()


def test_the_place_for_sockets_must_be_ours(tmp_path: Path) -> None:
    """A link where the directory should be is refused: somebody else may have put it there."""
    (tmp_path / "target").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "target")
    data = DataDirectory(tmp_path)
    data.run_file.write_text(f"{link}\n")
    with pytest.raises(Fault, match="not a directory of ours"):
        data.layout().make_run()


def test_a_named_directory_goes_first() -> None:
    """MUNIMENT_DATA names the default."""
    assert default_data({"MUNIMENT_DATA": "/srv/m"}) == Path("/srv/m")


@pytest.mark.parametrize("name", ["of $HOME", "a`b", 'a"b', "a\\b", "a\nb"])
def test_paths_that_programs_of_engines_stumble_over_are_refused(tmp_path: Path, name: str) -> None:
    """Before anything is made."""
    data = DataDirectory(tmp_path / name)
    with pytest.raises(BadInput, match="name another"):
        data.make()
    assert not list(tmp_path.iterdir())
