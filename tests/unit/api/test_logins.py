"""Log-ins: one hash for every failure, none for what was right a moment ago."""

import asyncio
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import TypeVar

import pytest
from tests.support.accounts import CHEAP, users_file

from muniment.clock import ManualClock
from muniment.domain.refused import Refused
from muniment.secret import Secret
from muniment_api.auth.logins import Logins
from muniment_api.auth.passwords import PasswordHash
from muniment_api.auth.users import User

T = TypeVar("T")


class Counted:
    """Checks hashes for real and counts them, all together and at once."""

    def __init__(self) -> None:
        self.calls: list[PasswordHash] = []
        self.at_once_max = 0
        self._now = 0
        self._lock = threading.Lock()
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, stored: PasswordHash, password: Secret) -> bool:
        with self._lock:
            self.calls.append(stored)
            self._now += 1
            self.at_once_max = max(self.at_once_max, self._now)
        assert self.gate.wait(10)
        with self._lock:
            self._now -= 1
        return stored.matches(password)


class Desk:
    """Logins over a users file, with a clock and counted hashes."""

    def __init__(self, folder: Path) -> None:
        self.users = users_file(folder)
        self.clock = ManualClock()
        self.counted = Counted()
        self.logins = Logins(self.users, self.clock, matches=self.counted, cost=CHEAP)

    async def verify(
        self, name: str | None, password: str, *, user_id: str | None = None, address: str = "192.0.2.1"
    ) -> User:
        return await self.logins.verify(
            name=name, user_id=user_id, password=Secret(password), address=address
        )

    async def refusal(self, name: str | None, password: str, **more: str) -> Refused:
        with pytest.raises(Refused) as refused:
            await self.verify(name, password, **more)
        return refused.value


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A fresh desk."""
    return Desk(tmp_path)


def run(work: Coroutine[object, object, T]) -> T:
    """Run one scenario."""
    return asyncio.run(work)


def test_user_is_found_by_name_and_by_id(desk: Desk) -> None:
    """Either way of naming a user leads to it."""

    async def scenario() -> tuple[User, User]:
        return await desk.verify("alice", "alice-secret"), await desk.verify(
            None, "rita-secret", user_id="u-rita"
        )

    alice, rita = run(scenario())
    assert (alice.id, rita.name) == ("u-alice", "rita")


def test_unknown_user_and_wrong_password_are_alike(desk: Desk) -> None:
    """Both cost one hash of the same parameters and give the same refusal, by name and by id."""

    async def scenario() -> list[Refused]:
        return [
            await desk.refusal("alice", "wrong"),
            await desk.refusal("nobody", "wrong"),
            await desk.refusal(None, "wrong", user_id="u-alice"),
            await desk.refusal(None, "wrong", user_id="u-nobody"),
        ]

    refusals = run(scenario())
    assert {(r.status, r.code, r.message) for r in refusals} == {
        (401, "unauthorized", "The request you have made requires authentication.")
    }
    assert [(h.n, h.r, h.p) for h in desk.counted.calls] == [(CHEAP.n, CHEAP.r, CHEAP.p)] * 4


def test_right_password_is_hashed_once_in_ten_minutes(desk: Desk) -> None:
    """A password that was right is remembered for ten minutes."""

    async def scenario() -> None:
        for _ in range(5):
            await desk.verify("alice", "alice-secret")
        assert len(desk.counted.calls) == 1
        desk.clock.advance(601)
        await desk.verify("alice", "alice-secret")

    run(scenario())
    assert len(desk.counted.calls) == 2


def test_memory_helps_no_other_password(desk: Desk) -> None:
    """While a password is remembered, another one is still hashed and refused."""

    async def scenario() -> Refused:
        await desk.verify("alice", "alice-secret")
        return await desk.refusal("alice", "alice-secret2")

    assert run(scenario()).status == 401
    assert len(desk.counted.calls) == 2


def test_changed_password_ends_the_memory(desk: Desk) -> None:
    """After a password change the remembered one is refused."""

    async def scenario() -> Refused:
        await desk.verify("alice", "alice-secret")
        desk.users.set_password("alice", Secret("changed"), cost=CHEAP)
        return await desk.refusal("alice", "alice-secret")

    assert run(scenario()).status == 401


def test_too_many_failures_are_not_hashed_but_the_remembered_user_passes(desk: Desk) -> None:
    """After ten failures further tries cost nothing; who is remembered is not locked out by them."""

    async def scenario() -> Refused:
        await desk.verify("alice", "alice-secret")
        for _ in range(10):
            await desk.refusal("alice", "wrong")
        refused = await desk.refusal("alice", "wrong")
        await desk.verify("alice", "alice-secret")
        return refused

    assert run(scenario()).status == 429
    assert len(desk.counted.calls) == 11


def test_unknown_users_are_limited_like_known_ones(desk: Desk) -> None:
    """The eleventh guess at a name that nobody has is refused just as for a real one."""

    async def scenario() -> list[int]:
        return [(await desk.refusal("nobody", "wrong")).status for _ in range(11)]

    assert run(scenario()) == [401] * 10 + [429]


def test_burst_of_guesses_runs_two_at_once_and_gains_nothing(desk: Desk) -> None:
    """Forty guesses at the same moment: two hashes at a time, and the limit of failures holds (but for those two)."""

    async def scenario() -> list[int]:
        guesses = (desk.refusal("alice", f"guess {number}") for number in range(40))
        return [refused.status for refused in await asyncio.gather(*guesses)]

    statuses = run(scenario())
    assert desk.counted.at_once_max <= 2
    assert statuses.count(401) in (10, 11)
    assert statuses.count(401) + statuses.count(429) == 40


def test_waiting_is_bounded(desk: Desk) -> None:
    """When 64 log-ins wait already, the next is told to come back, without a hash."""

    async def scenario() -> tuple[Refused, int]:
        desk.counted.gate.clear()
        crowd = [
            asyncio.create_task(desk.verify("alice", "alice-secret", address=f"192.0.2.{number}"))
            for number in range(64)
        ]
        while len(desk.counted.calls) < 2:
            await asyncio.sleep(0)
        try:
            async with asyncio.timeout(5):
                refused = await desk.refusal("rita", "rita-secret")
        finally:
            desk.counted.gate.set()
        return refused, len(await asyncio.gather(*crowd))

    refused, served = run(scenario())
    assert (refused.status, refused.code, served) == (429, "too-many-log-ins", 64)
    assert refused.details == {"retry_after_s": 1}
