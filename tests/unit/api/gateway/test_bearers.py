"""Passwords of instances at the gateway: by digest, remembered for a moment."""

from hashlib import sha256
from uuid import UUID

from muniment_api.gateway.bearers import Bearers

NAME, OTHER = UUID(int=1), UUID(int=2)


class Digests:
    """A store of digests that counts how often it is asked."""

    def __init__(self) -> None:
        self.known = {NAME: sha256(b"secret").digest()}
        self.asked = 0
        self.now_s = 0.0
        self.bearers = Bearers(self.look_up, lambda: self.now_s)

    def look_up(self, instance_id: UUID) -> bytes | None:
        """The digest, if known."""
        self.asked += 1
        return self.known.get(instance_id)


def test_admits() -> None:
    """The password opens its own instance's queue and no other."""
    digests = Digests()
    assert digests.bearers.admits(NAME, "Bearer secret")
    assert digests.bearers.admits(NAME, "bearer secret")
    for shown in ("", "secret", "Basic secret", "Bearer", "Bearer secre", "Bearer secret ", "Bearer \udcff"):
        assert not digests.bearers.admits(NAME, shown)
    assert not digests.bearers.admits(OTHER, "Bearer secret")


def test_remembers() -> None:
    """Within five seconds the store is asked once."""
    digests = Digests()
    for _ in range(10):
        assert digests.bearers.admits(NAME, "Bearer secret")
    assert digests.asked == 1


def test_deleted() -> None:
    """A deleted password opens nothing after five seconds."""
    digests = Digests()
    digests.bearers.admits(NAME, "Bearer secret")
    digests.known.clear()
    digests.now_s = 5.0
    assert not digests.bearers.admits(NAME, "Bearer secret")


def test_new_password() -> None:
    """A password that was just given out opens at once, though its absence is remembered."""
    digests = Digests()
    assert not digests.bearers.admits(OTHER, "Bearer new")
    digests.known[OTHER] = sha256(b"new").digest()
    assert digests.bearers.admits(OTHER, "Bearer new")


def test_flood() -> None:
    """A flood of wrong passwords under one name asks the store a few times, not each time."""
    digests = Digests()
    for _ in range(1000):
        assert not digests.bearers.admits(NAME, "Bearer wrong")
    assert digests.asked <= 6
