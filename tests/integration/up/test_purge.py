"""`muniment down --purge` where backups lie elsewhere."""

import shutil
from pathlib import Path

from tests.support.machine import Machine

from muniment_cli.data_directory import DataDirectory


def test_purge_of_backups_elsewhere_leaves_what_is_not_ours(machine: Machine) -> None:
    """Backups on another disk are removed one by one; what lies beside them stays."""
    elsewhere = machine.folder / "disk2"
    elsewhere.mkdir()
    (elsewhere / "photo").write_text("mine")
    machine.up("--api", "127.0.0.1:0", "--backups", str(elsewhere))

    done = machine.operate("down", "--purge", "--yes")

    assert done.returncode == 0, done.stderr
    assert not machine.data.exists()
    assert [path.name for path in elsewhere.iterdir()] == ["photo"]


def test_a_purge_that_cannot_end_does_not_begin(machine: Machine) -> None:
    """With the disk of the backups away nothing is asked, stopped or removed; the error names the way on, and it works."""
    disk = machine.folder / "disk2"
    disk.mkdir()
    machine.up("--api", "127.0.0.1:0", "--backups", str(disk))
    disk.rename(machine.folder / "unmounted")
    disk.mkdir()

    refused = machine.operate("down", "--purge", "--yes")

    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1), refused.stderr
    assert "nothing was changed" in refused.stderr
    assert machine.operate("status").returncode == 0  # it runs as before

    done = machine.operate("down", "--purge", "--leave-backups", "--yes")
    assert done.returncode == 0, done.stderr
    assert not machine.data.exists()
    assert (machine.folder / "unmounted" / "muniment-backups").exists()


def test_a_copy_is_neither_started_nor_purged(machine: Machine) -> None:
    """It names the sockets and servers of its original; those stay as they are."""
    machine.up("--api", "127.0.0.1:0")
    machine.interrupt()
    copy, original = machine.folder / "copy", machine.data
    shutil.copytree(original, copy, symlinks=True)
    run = Path((original / "run").read_text().splitlines()[0])
    machine.data = copy

    for command in (("down", "--purge", "--yes"), ("down",)):
        refused = machine.operate(*command)
        assert refused.returncode == 2, refused.stderr
        assert f"is a copy of {original}" in refused.stderr
    assert f"is a copy of {original}" in machine.refused()

    assert run.is_dir()
    assert copy.is_dir()
    machine.data = original
    machine.up()


def test_a_purge_that_was_begun_is_only_finished(machine: Machine) -> None:
    """Half of an installation is not started again."""
    machine.up("--api", "127.0.0.1:0")
    machine.interrupt()
    DataDirectory(machine.data).begin_purge()

    assert "muniment down --purge" in machine.refused()
    assert machine.operate("status").returncode == 2

    assert machine.operate("down", "--purge", "--yes").returncode == 0
    assert not machine.data.exists()


def test_a_copy_does_not_look_after_orphans(machine: Machine) -> None:
    """It would take its original's servers for its own."""
    machine.up("--api", "127.0.0.1:0")
    machine.interrupt()
    copy = machine.folder / "copy"
    shutil.copytree(machine.data, copy, symlinks=True)
    original, machine.data = machine.data, copy

    refused = machine.operate("doctor", "--remove-orphans", "--yes")

    assert refused.returncode == 2
    assert f"is a copy of {original}" in refused.stderr
    machine.data = original


def test_settings_that_cannot_be_read_are_no_end(machine: Machine) -> None:
    """They name where backups lie: a purge refuses, and its error names the way on, which works."""
    machine.up("--api", "127.0.0.1:0")
    machine.interrupt()
    settings = machine.data / "settings.toml"
    settings.write_text(settings.read_text() + "nonsense")

    refused = machine.operate("down", "--purge", "--yes")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1), refused.stderr
    assert "--leave-backups" in refused.stderr

    done = machine.operate("down", "--purge", "--leave-backups", "--yes")
    assert done.returncode == 0, done.stderr
    assert not machine.data.exists()
