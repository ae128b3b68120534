"""The keyring: what it derives, remembers and forgets."""

from uuid import UUID

from tests.support.bus_kit import EPOCH, INSTANCE, NOW_MS, ROOT

from muniment.bus.keyring import Keyring
from muniment.bus.suite import Direction, DirectionKey, Suite
from muniment.secret import Secret


class Roots:
    """A source of root keys that counts how often it is asked."""

    def __init__(self) -> None:
        self.known: dict[tuple[UUID, int], Secret] = {(INSTANCE, EPOCH): ROOT}
        self.asked = 0

    def __call__(self, instance_id: UUID, epoch: int) -> Secret | None:
        """The root key, if known."""
        self.asked += 1
        return self.known.get((instance_id, epoch))


def find(
    keys: Keyring, epoch: int = EPOCH, *, instance_id: UUID = INSTANCE, now_ms: int = NOW_MS
) -> DirectionKey | None:
    """Ask for a key to the guest."""
    return keys.find(instance_id.bytes, epoch, Direction.TO_GUEST, Suite.AES_256_GCM, now_ms)


def test_derives_once() -> None:
    """The second message of an instance costs neither a look-up nor a derivation."""
    roots = Roots()
    keys = Keyring(roots)
    assert find(keys) is find(keys)
    assert roots.asked == 1


def test_keys_differ() -> None:
    """No two of direction, suite and epoch share a key."""
    roots = Roots()
    roots.known[INSTANCE, EPOCH + 1] = ROOT
    keys = Keyring(roots)
    texts = {
        key.cipher.encrypt(bytes(12), b"same text", None)
        for epoch in (EPOCH, EPOCH + 1)
        for direction in Direction
        for suite in Suite
        if (key := keys.find(INSTANCE.bytes, epoch, direction, suite, NOW_MS))
    }
    assert len(texts) == 12


def test_unknown_is_remembered() -> None:
    """A flood under an unknown name costs one look-up in five seconds."""
    roots = Roots()
    keys = Keyring(roots)
    for passed_ms in range(0, 5_000, 100):
        assert find(keys, 99, now_ms=NOW_MS + passed_ms) is None
    assert roots.asked == 1


def test_enrolled_after_a_flood() -> None:
    """A key that came to be is found once the memory of its absence has passed."""
    roots = Roots()
    keys = Keyring(roots)
    find(keys, 8)
    roots.known[INSTANCE, 8] = ROOT
    assert find(keys, 8, now_ms=NOW_MS + 5_000) is not None


def test_forget() -> None:
    """What was forgotten is looked up anew: a deleted key is gone at once, a new one there at once."""
    roots = Roots()
    keys = Keyring(roots)
    find(keys)
    find(keys, 8)
    roots.known = {(INSTANCE, 8): ROOT}
    keys.forget(INSTANCE)
    assert find(keys) is None
    assert find(keys, 8) is not None


def test_deleted_elsewhere() -> None:
    """A key deleted by another process opens nothing after 30 seconds."""
    roots = Roots()
    keys = Keyring(roots)
    find(keys)
    roots.known.clear()
    assert find(keys, now_ms=NOW_MS + 30_000) is None


def test_bounded() -> None:
    """However many names arrive, the memories stay within their bound."""
    roots = Roots()
    keys = Keyring(roots, capacity=10)
    for epoch in range(1, 100):
        find(keys, epoch + EPOCH)
        roots.known[INSTANCE, epoch + 1000] = ROOT
        find(keys, epoch + 1000)
    asked = roots.asked
    find(keys, 99 + 1000)
    find(keys, 1 + 1000)
    assert roots.asked == asked + 1
