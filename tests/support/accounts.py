"""Users for tests: an admin, a member of two projects, and a reader, with hashes that cost nothing."""

from pathlib import Path

from muniment.secret import Secret
from muniment_api.auth.passwords import Cost, hash_password
from muniment_api.auth.users import Grant, Project, User, Users, UsersFile

CHEAP = Cost(n=2, r=1, p=1)

RED = Project("p-red", "red")
BLUE = Project("p-blue", "blue")
OFFICE = Project("p-office", "office")


def _user(name: str, *grants: Grant) -> User:
    return User(
        id=f"u-{name}",
        name=name,
        default_project_id=grants[0].project_id,
        grants=grants,
        password=hash_password(Secret(f"{name}-secret"), cost=CHEAP),
    )


def some_users() -> Users:
    """`alice` is a member of red and blue, `rita` reads in both, `root` is admin in office; passwords `<name>-secret`."""
    return Users(
        version=1,
        projects=(RED, BLUE, OFFICE),
        users=(
            _user("alice", Grant(RED.id, ("member",)), Grant(BLUE.id, ("member",))),
            _user("rita", Grant(RED.id, ("reader",)), Grant(BLUE.id, ("reader",))),
            _user("root", Grant(OFFICE.id, ("admin",))),
        ),
    )


def users_file(folder: Path) -> UsersFile:
    """A users file with `some_users`."""
    return UsersFile.create(folder / "users.json", some_users())
