"""The last act of a purge."""

from pathlib import Path

from muniment_cli.commands.purge import _remove_root


def test_a_linked_data_directory_goes_with_its_link(tmp_path: Path) -> None:
    """A data directory that was moved to another disk and linked leaves neither the place nor the link."""
    place, link = tmp_path / "disk2", tmp_path / "data"
    place.mkdir()
    link.symlink_to(place)

    _remove_root(link)

    assert list(tmp_path.iterdir()) == []


def test_a_plain_data_directory_goes(tmp_path: Path) -> None:
    """Without a link there is only the place."""
    (tmp_path / "data").mkdir()

    _remove_root(tmp_path / "data")

    assert list(tmp_path.iterdir()) == []
