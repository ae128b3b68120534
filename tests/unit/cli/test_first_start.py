"""A data directory without its version file: what is gone through again, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

from muniment.secrets.keys import KeyEncryptionKeys
from muniment_api.auth.users import Users, UsersFile
from muniment_cli.data_directory import DataDirectory
from muniment_cli.failure import BadInput
from muniment_cli.roles.first_start import check, check_settings, finish
from muniment_cli.settings import Settings

_LATER = ("users.json", "clouds.yaml", "ledger.db", "cloud")


@pytest.fixture
def data(tmp_path: Path) -> DataDirectory:
    """One that holds nothing."""
    return DataDirectory(tmp_path)


def test_a_new_directory_may_be_finished(data: DataDirectory) -> None:
    """Settings and lock are no sign of an earlier start."""
    data.settings_file.touch()
    data.lock_file.touch()
    check(data)


@pytest.mark.parametrize("later", _LATER)
def test_no_key_is_made_for_what_another_key_sealed(data: DataDirectory, later: str) -> None:
    """Whatever is made after the key shows that there was one: it is asked for."""
    (data.root / later).touch()
    with pytest.raises(BadInput, match=rf"{data.key_file}.*{later}.*from a copy"):
        check(data)
    assert not data.key_file.exists()


def _open(path: Path) -> None:
    path.chmod(0o644)


def _damage(path: Path) -> None:
    path.write_text("half a k")


@pytest.mark.parametrize("spoil", [_open, _damage, Path.unlink])
@pytest.mark.parametrize("name", ["key", "users.json"])
@pytest.mark.parametrize("later", _LATER[1:])
def test_key_and_accounts_must_be_whole(
    data: DataDirectory, name: str, spoil: Callable[[Path], None], later: str
) -> None:
    """What was made after key and accounts is refused without either, and neither is touched."""
    _make_both(data)
    (data.root / later).touch()
    check(data)
    spoil(data.root / name)
    before = _contents(data)
    with pytest.raises(BadInput, match=f"{later}.*from a copy"):
        check(data)
    assert _contents(data) == before


@pytest.mark.parametrize("spoil", [_open, _damage])
def test_a_spoilt_key_is_never_replaced(data: DataDirectory, spoil: Callable[[Path], None]) -> None:
    """Also when nothing else is there."""
    KeyEncryptionKeys.create(data.key_file)
    spoil(data.key_file)
    before = _contents(data)
    with pytest.raises(BadInput, match="from a copy"):
        check(data)
    assert _contents(data) == before


@pytest.mark.parametrize("proof", ["key", "version", *_LATER])
def test_lost_settings_are_asked_for(data: DataDirectory, proof: str) -> None:
    """Settings are not written anew beside anything else, since only they said where backups lie."""
    (data.root / proof).touch()
    with pytest.raises(BadInput, match=rf"{data.settings_file} is missing.*{proof}.*from a copy"):
        check_settings(data)
    data.settings_file.touch()
    check_settings(data)


def test_a_new_directory_has_no_settings_to_lose(data: DataDirectory) -> None:
    """The lock and the place of sockets come before the settings."""
    data.lock_file.touch()
    data.run_file.touch()
    check_settings(data)


def test_beside_a_ledger_only_the_version_is_made(data: DataDirectory) -> None:
    """Key and accounts stay as they are."""
    _make_both(data)
    data.ledger_file.touch()
    before = _contents(data)
    finish(data, Settings(), "http://127.0.0.1:1")
    assert _contents(data) == before | {"version": b"1\n"}


def test_told_passwords_stay(data: DataDirectory) -> None:
    """Killed between clouds.yaml and the version file, the accounts are those of clouds.yaml."""
    _make_both(data)
    data.clouds_file.touch()
    before = _contents(data)
    finish(data, Settings(), "http://127.0.0.1:1")
    assert _contents(data) == before | {"version": b"1\n"}


def test_accounts_that_nobody_knows_are_made_anew(data: DataDirectory) -> None:
    """Killed between the accounts and clouds.yaml, passwords are made that clouds.yaml has; the key stays."""
    _make_both(data)
    key = data.key_file.read_bytes()
    check(data)
    finish(data, Settings(), "http://127.0.0.1:1")
    assert data.key_file.read_bytes() == key
    assert UsersFile(data.users_file).directory().by_name("demo") is not None
    assert "demo" in data.clouds_file.read_text()


def _make_both(data: DataDirectory) -> None:
    KeyEncryptionKeys.create(data.key_file)
    UsersFile.create(data.users_file, Users(version=1, projects=(), users=()))


def _contents(data: DataDirectory) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in data.root.iterdir()}
