"""The users file: projects and users of one machine, with hashed passwords, in one JSON document of mode 0600."""

import fcntl
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID, uuid4

import msgspec
import structlog

from muniment.durable_file import write_durably
from muniment.fault import Fault
from muniment.secret import Secret
from muniment_api.auth.identity import ADMIN, MEMBER
from muniment_api.auth.passwords import COST, Cost, PasswordHash, generated_password, hash_password

__all__ = ["Directory", "Grant", "Project", "User", "Users", "UsersFile", "first_users"]

log = structlog.get_logger(__name__)

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class Project(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An owner of resources."""

    id: Text
    name: Text


class Grant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The roles that a user holds in one project."""

    project_id: Text
    roles: Annotated[tuple[Text, ...], msgspec.Meta(min_length=1, max_length=16)]


class User(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A person or program that may log in."""

    id: Text
    name: Text
    default_project_id: Text
    grants: tuple[Grant, ...]
    password: PasswordHash

    def roles_in(self, project_id: str) -> frozenset[str]:
        """The roles held in a project; none when it is not the user's."""
        return frozenset(
            role for grant in self.grants if grant.project_id == project_id for role in grant.roles
        )


class Users(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the file holds. Ids and names are unique, and whatever is referred to exists."""

    version: Literal[1]
    projects: tuple[Project, ...]
    users: tuple[User, ...]

    def __post_init__(self) -> None:
        _check_unique("project", [(p.id, p.name) for p in self.projects])
        _check_unique("user", [(u.id, u.name) for u in self.users])
        known = {project.id for project in self.projects}
        for user in self.users:
            named = {grant.project_id for grant in user.grants}
            if missing := named - known:
                raise ValueError(f"user {user.name} has roles in an unknown project {min(missing)}")
            if user.default_project_id not in named:
                raise ValueError(f"user {user.name} has no role in its default project")


class Directory:
    """The users file as looked up: by id, by name, and a stamp per user that changes whenever its record does."""

    def __init__(self, users: Users) -> None:
        """Index the content of a file."""
        self.projects = {project.id: project for project in users.projects}
        self._users = {user.id: user for user in users.users}
        self._ids = {user.name: user.id for user in users.users}
        self._stamps = {user.id: hashlib.sha256(msgspec.json.encode(user)).digest() for user in users.users}

    @property
    def users(self) -> tuple[User, ...]:
        """Every user, in the order of the file."""
        return tuple(self._users.values())

    def by_id(self, user_id: str) -> User | None:
        """The user with this id."""
        return self._users.get(user_id)

    def by_name(self, name: str) -> User | None:
        """The user with this name; upper and lower case differ."""
        user_id = self._ids.get(name)
        return None if user_id is None else self._users[user_id]

    def stamp(self, user_id: str) -> bytes | None:
        """What proof given earlier is held against: another password, role or project makes another stamp."""
        return self._stamps.get(user_id)

    def projects_of(self, user: User) -> list[Project]:
        """The projects that a user holds a role in, in the order of its grants."""
        ids = dict.fromkeys(grant.project_id for grant in user.grants)
        return [self.projects[project_id] for project_id in ids]


class UsersFile:
    """The users file on disk: read again whenever it changes, replaced as a whole and durably."""

    def __init__(self, path: Path) -> None:
        """Read the file at `path`.

        Raises:
            Fault: it is missing, readable by others, or not a users file.
        """
        self.path = path
        self._seen = _identity_of(path)
        self._directory = Directory(_read(path))
        self._complaint = ""

    @classmethod
    def create(cls, path: Path, users: Users) -> "UsersFile":
        """Write a first users file; an existing one is never overwritten.

        Raises:
            Fault: there is one already.
        """
        if path.exists():
            raise Fault("identity", f"{path} exists already", retryable=False)
        _replace(path, users)
        return cls(path)

    def directory(self) -> Directory:
        """The present content. A file that has become unreadable is reported once; the last good content stays."""
        try:
            seen = _identity_of(self.path)
            if seen != self._seen:
                self._seen = seen
                self._directory = Directory(_read(self.path))
                self._complaint = ""
        except Fault as fault:
            if fault.message != self._complaint:
                log.error("users file not read, the last good one stays", reason=fault.message)
            self._complaint = fault.message
        return self._directory

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Keep whoever else changes accounts away, in whichever process: also for files that have to agree with this one."""
        with _locked(self.path.parent):
            yield

    def set_password(
        self, name: str, password: Secret, *, cost: Cost = COST, also: Callable[[], None] = lambda: None
    ) -> User:
        """Give a user a new password; every token and remembered credential of the user ends with it.

        `also` is done while others are still kept away: it writes the password wherever else it has to be the same.

        Raises:
            Fault: no user has that name, or the file cannot be written.
        """
        hashed = hash_password(password, cost=cost)
        with self.changing():
            content = _read(self.path)
            if name not in {user.name for user in content.users}:
                names = ", ".join(user.name for user in content.users)
                raise Fault("identity", f"no user is named {name}; there are: {names}", retryable=False)
            users = tuple(
                msgspec.structs.replace(user, password=hashed) if user.name == name else user
                for user in content.users
            )
            _replace(self.path, msgspec.structs.replace(content, users=users))
            # Looked up before others may change it again.
            changed = self.directory().by_name(name)
            also()
        assert changed is not None
        assert changed.password == hashed
        return changed


def first_users(*, cost: Cost = COST, new_id: Callable[[], UUID] = uuid4) -> tuple[Users, dict[str, Secret]]:
    """An `admin` and a `demo` account, each with a project of its name, and their generated passwords by name."""
    projects = {name: Project(new_id().hex, name) for name in ("admin", "demo")}
    passwords = {name: generated_password() for name in projects}
    users = tuple(
        User(
            id=new_id().hex,
            name=name,
            default_project_id=projects[name].id,
            grants=(Grant(projects[name].id, (role,)),),
            password=hash_password(passwords[name], cost=cost),
        )
        for name, role in (("admin", ADMIN), ("demo", MEMBER))
    )
    return Users(version=1, projects=tuple(projects.values()), users=users), passwords


def _check_unique(what: str, pairs: list[tuple[str, str]]) -> None:
    for position, kind in enumerate(("id", "name")):
        values = [pair[position] for pair in pairs]
        if len(set(values)) != len(values):
            raise ValueError(f"two {what}s have the same {kind}")


def _identity_of(path: Path) -> tuple[int, int, int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from error
    return status.st_ino, status.st_mtime_ns, status.st_size, status.st_mode


def _unreadable(path: Path, error: OSError) -> Fault:
    """The accounts own what there is under ids that are nowhere else, so a new file would be no help."""
    advice = "; put your copy of the accounts back" if isinstance(error, FileNotFoundError) else ""
    return Fault("identity", f"{path}: {error.strerror}{advice}", retryable=False)


def _read(path: Path) -> Users:
    try:
        with path.open("rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise Fault("identity", f"{path} is open to others; run: chmod 600 {path}", retryable=False)
            return msgspec.json.decode(file.read(), type=Users)
    except OSError as error:
        raise _unreadable(path, error) from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Fault("identity", f"{path} is not a users file: {error}", retryable=False) from error


def _replace(path: Path, users: Users) -> None:
    content = msgspec.json.format(msgspec.json.encode(users), indent=2) + b"\n"
    try:
        write_durably(path, content, mode=0o600)
    except OSError as error:
        raise Fault("identity", f"{path} cannot be written: {error.strerror}") from error


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other writers of this folder's users file away, in whichever process; closing the folder releases it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
