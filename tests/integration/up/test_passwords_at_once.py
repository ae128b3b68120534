"""`muniment passwd`, several at once."""

from concurrent.futures import ThreadPoolExecutor

from tests.support.machine import Machine

from muniment.secret import Secret
from muniment_api.auth.users import UsersFile

_ROUNDS = 3


def test_no_password_is_lost(machine: Machine) -> None:
    """Whoever is last, the accounts and clouds.yaml have the same passwords, and those that were set last."""
    machine.up("--api", "127.0.0.1:0")
    for number in range(_ROUNDS):
        wanted = [(account, f"{account}-{number}-{n}") for n in range(2) for account in ("demo", "admin")]
        with ThreadPoolExecutor(len(wanted)) as pool:
            done = list(pool.map(lambda one: _set(machine, *one), wanted))
        assert done == [0] * len(wanted)
        for cloud, account in (("muniment", "demo"), ("muniment-admin", "admin")):
            said = machine.auth(cloud)["password"]
            assert (account, said) in wanted
            assert _matches(machine, account, said)


def _set(machine: Machine, account: str, password: str) -> int:
    command = ("passwd", account, "--data", str(machine.data))
    return machine.muniment(*command, text=f"{password}\n").returncode


def _matches(machine: Machine, account: str, password: str) -> bool:
    user = UsersFile(machine.data / "users.json").directory().by_name(account)
    assert user is not None
    return user.password.matches(Secret(password))
