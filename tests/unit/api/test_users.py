"""The users file: what it refuses, how it is replaced, and that a change is seen."""

import os
import stat
from pathlib import Path

import msgspec
import pytest
from tests.support.accounts import CHEAP, RED, some_users, users_file

from muniment.fault import Fault
from muniment.secret import Secret
from muniment_api.auth.users import Grant, Users, UsersFile, first_users


def test_file_is_for_its_owner_only(tmp_path: Path) -> None:
    """Nobody but the owner may read the hashes, and the file holds no password."""
    path = users_file(tmp_path).path
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert b"alice-secret" not in path.read_bytes()


def test_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    """Creating twice is refused and leaves the first file as it was."""
    path = users_file(tmp_path).path
    before = path.read_bytes()
    with pytest.raises(Fault, match="exists already"):
        UsersFile.create(path, some_users())
    assert path.read_bytes() == before


def test_new_password_replaces_the_old(tmp_path: Path) -> None:
    """After a change, also by another process, the new password matches and the user's stamp is another."""
    here, elsewhere = users_file(tmp_path), UsersFile(tmp_path / "users.json")
    stamp = here.directory().stamp("u-alice")
    elsewhere.set_password("alice", Secret("changed"), cost=CHEAP)
    alice = here.directory().by_name("alice")
    assert alice is not None
    assert alice.password.matches(Secret("changed"))
    assert here.directory().stamp("u-alice") != stamp
    assert here.directory().stamp("u-rita") == UsersFile(here.path).directory().stamp("u-rita")


def test_password_of_nobody_names_who_there_is(tmp_path: Path) -> None:
    """A mistyped name is answered with the names there are."""
    with pytest.raises(Fault, match="no user is named alcie; there are: alice, rita, root"):
        users_file(tmp_path).set_password("alcie", Secret("x"), cost=CHEAP)


def test_writing_leaves_nothing_beside(tmp_path: Path) -> None:
    """A change leaves exactly one file of mode 0600."""
    users_file(tmp_path).set_password("alice", Secret("x"), cost=CHEAP)
    assert os.listdir(tmp_path) == ["users.json"]
    assert stat.S_IMODE((tmp_path / "users.json").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "is not a users file"),
        (b"\xff\xfe", "is not a users file"),
        (b'{"version": 2, "projects": [], "users": []}', "Invalid enum value 2"),
        (b'{"version": 1, "projects": [], "users": [], "extra": 1}', "unknown field `extra`"),
    ],
)
def test_other_content_is_refused_in_one_sentence(tmp_path: Path, content: bytes, reason: str) -> None:
    """A file of another shape is a fault that says where, never a traceback of the decoder."""
    path = tmp_path / "users.json"
    path.touch(0o600)
    path.write_bytes(content)
    with pytest.raises(Fault, match=reason):
        UsersFile(path)


def test_missing_file_is_a_fault(tmp_path: Path) -> None:
    """A missing file is named, with what to do."""
    with pytest.raises(Fault, match=r"users\.json: No such file.*; put your copy"):
        UsersFile(tmp_path / "users.json")


def test_file_open_to_others_is_refused(tmp_path: Path) -> None:
    """A file that others may read is refused with the command that closes it."""
    path = users_file(tmp_path).path
    path.chmod(0o640)
    with pytest.raises(Fault, match="chmod 600"):
        UsersFile(path)


def test_file_broken_later_leaves_the_last_good_one(tmp_path: Path) -> None:
    """A slip while editing locks nobody out; the mended file counts at once."""
    users = users_file(tmp_path)
    good = users.path.read_bytes()
    users.path.write_bytes(b"{ half")
    assert users.directory().by_name("alice") is not None
    users.path.write_bytes(good.replace(b'"alice"', b'"alicia"'))
    assert users.directory().by_name("alice") is None
    assert users.directory().by_name("alicia") is not None


def test_references_must_exist() -> None:
    """A role in a project that is not there, and a default project without a role, are refused."""
    content = some_users()
    alice = content.users[0]
    stray = msgspec.structs.replace(alice, grants=(Grant("p-none", ("member",)),))
    homeless = msgspec.structs.replace(alice, default_project_id="p-office")
    for broken in (stray, homeless):
        with pytest.raises(ValueError, match=r"unknown project|default project"):
            Users(version=1, projects=content.projects, users=(broken,))


def test_names_and_ids_are_unique() -> None:
    """Two users of one name, or two projects of one id, are refused."""
    content = some_users()
    twin = msgspec.structs.replace(content.users[0], id="u-other")
    with pytest.raises(ValueError, match="two users have the same name"):
        Users(version=1, projects=content.projects, users=(*content.users, twin))
    with pytest.raises(ValueError, match="two projects have the same id"):
        Users(version=1, projects=(*content.projects, RED), users=content.users)


def test_first_users_can_log_in(tmp_path: Path) -> None:
    """The first file has an admin and a member whose generated passwords match."""
    content, passwords = first_users(cost=CHEAP)
    directory = UsersFile.create(tmp_path / "users.json", content).directory()
    admin, demo = directory.by_name("admin"), directory.by_name("demo")
    assert admin is not None
    assert demo is not None
    assert admin.password.matches(passwords["admin"])
    assert demo.password.matches(passwords["demo"])
    assert admin.roles_in(admin.default_project_id) == {"admin"}
    assert demo.roles_in(demo.default_project_id) == {"member"}
    assert not demo.roles_in(admin.default_project_id)
