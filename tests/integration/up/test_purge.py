"""`muniment down --purge` where backups lie elsewhere."""

from tests.support.machine import Machine


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
