"""The envelope: its vectors, and each reason for which a message is not believed."""

from uuid import UUID

import pytest
from tests.support.bus_kit import EPOCH, INSTANCE, LIFETIME_MS, NOW_MS, OTHER, OTHER_ROOT, keyring, sealed

from muniment.bus.envelope import (
    BODY_BYTES_MAX,
    LIFETIME_MS_MAX,
    OVERHEAD_BYTES,
    EnvelopeError,
    Kind,
    open_envelope,
)
from muniment.bus.suite import Direction, Suite

VECTORS = {
    Suite.AES_256_GCM: (
        "4d550101010100000000000712345678123442348234123456789abc000001a3185c50000000000000000005000001a3185c5000"
        "000001a3185d3a60000102030405060708090a0bf9a14aaea55774fcdaf3e5f98784fbf2f4461858ca7b60fe5d9034"
    ),
    Suite.CHACHA20_POLY1305: (
        "4d550102010100000000000712345678123442348234123456789abc000001a3185c50000000000000000005000001a3185c5000"
        "000001a3185d3a60000102030405060708090a0b73f665266634e0693e529a608738f7c520c17c57e6aa8c62dfadb2"
    ),
    Suite.AES_256_GCM_SIV: (
        "4d550103010100000000000712345678123442348234123456789abc000001a3185c50000000000000000005000001a3185c5000"
        "000001a3185d3a60000102030405060708090a0b5851af35b40847ad15d14681db7f074e83c3b2f4938d268a5f0a2c"
    ),
}


def reason_of(
    data: object,
    *,
    direction: Direction = Direction.TO_GUEST,
    instance_id: UUID | None = INSTANCE,
    now_ms: int = NOW_MS,
) -> str:
    """Why this was not believed."""
    with pytest.raises(EnvelopeError) as caught:
        open_envelope(data, keyring(), direction, now_ms=now_ms, instance_id=instance_id)
    return caught.value.reason


@pytest.mark.parametrize("suite", Suite)
def test_vector(suite: Suite) -> None:
    """Each suite seals the published message to the published bytes."""
    made = sealed(suite=suite, session=NOW_MS, nonce=bytes(range(12)))
    assert made.hex() == VECTORS[suite]


@pytest.mark.parametrize("suite", Suite)
def test_opens(suite: Suite) -> None:
    """What was sealed opens to the same body and numbers, under the instance whose key it was."""
    message = open_envelope(
        sealed(suite=suite), keyring(), Direction.TO_GUEST, now_ms=NOW_MS, suites=frozenset(Suite)
    )
    assert message.body == b"hello guest"
    assert (message.instance_id, message.kind, message.epoch) == (INSTANCE, Kind.COMMAND, EPOCH)
    assert (message.session, message.sequence) == (1, 5)


def test_overhead() -> None:
    """A message is 88 bytes longer than its body."""
    assert len(sealed(b"x" * 1024)) == 1024 + OVERHEAD_BYTES == 1112


def test_fresh_nonce() -> None:
    """The same message sealed twice shares no nonce."""
    assert sealed()[60:72] != sealed()[60:72]


@pytest.mark.parametrize(
    "data",
    [None, 7, "MU", bytearray(sealed()), b"", sealed()[:87], b"\0" * 2_000_000],
    ids=["nothing", "number", "text", "bytearray", "empty", "short", "huge"],
)
def test_not_an_envelope(data: object) -> None:
    """Other types, and lengths that no message has, are malformed."""
    assert reason_of(data) == "malformed"


@pytest.mark.parametrize(("offset", "value"), [(0, 0), (2, 2), (3, 9), (3, 0), (4, 3), (5, 6), (7, 1)])
def test_unknown_header(offset: int, value: int) -> None:
    """A header with another magic, version, suite, direction, kind or a reserved bit is malformed."""
    altered = bytearray(sealed())
    altered[offset] = value
    assert reason_of(bytes(altered)) == "malformed"


def test_suite_not_allowed() -> None:
    """A suite that the receiver does not list is not even tried."""
    assert reason_of(sealed(suite=Suite.AES_256_GCM_SIV)) == "malformed"


def test_reflected() -> None:
    """A message that comes back to its sender is misdirected."""
    assert reason_of(sealed(), direction=Direction.TO_CONTROL, instance_id=None) == "misdirected"


def test_reflected_with_direction_changed() -> None:
    """Changing the direction's byte does not help: the other direction has another key."""
    altered = bytearray(sealed())
    altered[4] = Direction.TO_CONTROL
    assert reason_of(bytes(altered), direction=Direction.TO_CONTROL, instance_id=None) == "not_authentic"


def test_meant_for_another() -> None:
    """A guest does not open what names another instance."""
    assert reason_of(sealed(instance_id=OTHER, root=OTHER_ROOT)) == "misdirected"


def test_speaking_as_another() -> None:
    """The key of one instance does not make messages of another."""
    assert reason_of(sealed(root=OTHER_ROOT), instance_id=None) == "not_authentic"


@pytest.mark.parametrize("epoch", [EPOCH - 1, EPOCH + 1])
def test_unknown_epoch(epoch: int) -> None:
    """A key epoch without a root key, retired or not yet there, has no key."""
    assert reason_of(sealed(epoch=epoch)) == "unknown_key"


def test_unknown_instance() -> None:
    """An instance that nobody enrolled has no key."""
    assert reason_of(sealed(instance_id=UUID(int=9)), instance_id=None) == "unknown_key"


def test_expired() -> None:
    """A message is believed at its expiry and not a millisecond later."""
    expiry_ms = NOW_MS + LIFETIME_MS
    open_envelope(sealed(), keyring(), Direction.TO_GUEST, now_ms=expiry_ms)
    assert reason_of(sealed(), now_ms=expiry_ms + 1) == "expired"


def test_from_future() -> None:
    """A sender's clock may be 120 s ahead and no more."""
    open_envelope(sealed(), keyring(), Direction.TO_GUEST, now_ms=NOW_MS - 120_000)
    assert reason_of(sealed(), now_ms=NOW_MS - 120_001) == "from_future"


@pytest.mark.parametrize(
    "expires_ms", [NOW_MS, NOW_MS - 1, NOW_MS + LIFETIME_MS_MAX + 1], ids=["none", "negative", "over a day"]
)
def test_lifetime(expires_ms: int) -> None:
    """A message that would live no time at all, or more than a day, is malformed."""
    altered = sealed()[:52] + expires_ms.to_bytes(8) + sealed()[60:]
    assert reason_of(altered) == "malformed"


@pytest.mark.parametrize("offset", [28, 36], ids=["session", "sequence"])
@pytest.mark.parametrize("number", [0, 2**63])
def test_number_out_of_range(offset: int, number: int) -> None:
    """A session or sequence of zero, or above what a database keeps, is malformed."""
    whole = sealed()
    assert reason_of(whole[:offset] + number.to_bytes(8) + whole[offset + 8 :]) == "malformed"


@pytest.mark.parametrize(
    "bad",
    [
        {"body": b"x" * (BODY_BYTES_MAX + 1)},
        {"lifetime_ms": 0},
        {"lifetime_ms": LIFETIME_MS_MAX + 1},
        {"sequence": 0},
        {"session": 2**63},
    ],
    ids=str,
)
def test_seal_refuses(bad: dict[str, object]) -> None:
    """A sender cannot make what no receiver would take."""
    with pytest.raises(ValueError, match=r"limit|lives|count"):
        sealed(**bad)  # type: ignore[arg-type]  # each case is one keyword of it


def test_error_says_one_word() -> None:
    """The error's text is its reason alone, so it may be logged."""
    with pytest.raises(EnvelopeError, match=r"^malformed$"):
        open_envelope(b"secret text", keyring(), Direction.TO_GUEST, now_ms=NOW_MS)
