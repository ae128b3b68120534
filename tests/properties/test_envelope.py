"""Laws of the envelope: whatever bytes arrive, only its own error comes out, and only what was sealed is believed."""

from collections.abc import Callable
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.support.bus_kit import (
    EPOCH,
    INSTANCE,
    LIFETIME_MS,
    NOW_MS,
    OTHER,
    OTHER_ROOT,
    ROOT,
    keyring,
    sealed,
)

from muniment.bus.envelope import OVERHEAD_BYTES, EnvelopeError, Kind, Message, open_envelope
from muniment.bus.suite import Direction, Suite

ALL = frozenset(Suite)
KEYS = keyring()
suites = st.sampled_from(Suite)
bodies = st.binary(max_size=300)


def believed(
    data: object, *, now_ms: int = NOW_MS, direction: Direction = Direction.TO_GUEST
) -> Message | None:
    """The message, or None when the envelope refused; any other exception fails the test."""
    try:
        return open_envelope(data, KEYS, direction, now_ms=now_ms, suites=ALL)
    except EnvelopeError:
        return None


@settings(deadline=None)
@given(bodies, suites, st.sampled_from(Direction), st.sampled_from(Kind), st.integers(1, 2**63 - 1))
def test_round_trip(body: bytes, suite: Suite, direction: Direction, kind: Kind, sequence: int) -> None:
    """Whatever is sealed opens to the same body and numbers."""
    data = sealed(body, suite=suite, direction=direction, kind=kind, sequence=sequence)
    message = believed(data, direction=direction)
    assert message is not None
    assert (message.body, message.kind, message.sequence) == (body, kind, sequence)


@pytest.mark.parametrize("suite", Suite)
def test_every_bit(suite: Suite) -> None:
    """No single bit of a message, header, body or tag, can be changed."""
    data = sealed(b"x" * 140, suite=suite)
    flipped = (
        data[:i] + bytes((data[i] ^ 1 << bit,)) + data[i + 1 :] for i in range(len(data)) for bit in range(8)
    )
    assert not any(believed(altered) for altered in flipped)


@settings(deadline=None)
@given(bodies, suites, st.sets(st.integers(0, OVERHEAD_BYTES * 8 - 1), min_size=1, max_size=4))
def test_several_bits(body: bytes, suite: Suite, bits: set[int]) -> None:
    """Nor can several bits at once."""
    altered = bytearray(sealed(body, suite=suite))
    for bit in bits:
        altered[bit // 8] ^= 1 << bit % 8
    assert believed(bytes(altered)) is None


@settings(deadline=None)
@given(bodies, suites, st.integers(0, 400), st.binary(max_size=40))
def test_cut_or_extended(body: bytes, suite: Suite, keep: int, tail: bytes) -> None:
    """A message that is cut, extended or both is not believed, unless it is whole again."""
    data = sealed(body, suite=suite)
    altered = data[:keep] + tail
    assert altered == data or believed(altered) is None


@settings(deadline=None)
@given(bodies, bodies, suites, suites, st.integers(0, 400))
def test_spliced(first: bytes, second: bytes, suite: Suite, other: Suite, cut: int) -> None:
    """The head of one message and the tail of another make none."""
    one, two = sealed(first, suite=suite, sequence=1), sealed(second, suite=other, sequence=2)
    altered = one[:cut] + two[cut:]
    assert altered in {one, two} or believed(altered) is None


@settings(deadline=None)
@given(
    st.one_of(
        st.none(),
        st.integers(),
        st.text(),
        st.binary(max_size=2000),
        st.lists(st.integers()),
        st.binary(max_size=200).map(bytearray),
    )
)
@example(b"MU\x01\x01\x01\x01\x00\x00" + bytes(80))
def test_anything(data: object) -> None:
    """Bytes, text, numbers, nothing: only the envelope's error comes out."""
    assert believed(data) is None


@settings(deadline=None)
@given(st.binary(min_size=OVERHEAD_BYTES, max_size=300), suites, st.sampled_from(Kind))
def test_forged(noise: bytes, suite: Suite, kind: Kind) -> None:
    """A perfect header over a body that no key sealed is not believed."""
    assert believed(sealed(suite=suite, kind=kind)[:72] + noise[72:]) is None


@settings(deadline=None)
@given(suites, bodies)
def test_misdirected(suite: Suite, body: bytes) -> None:
    """Renaming the receiver, reflecting, or sealing under another's key leads nowhere."""
    data = sealed(body, suite=suite)
    theirs = sealed(body, suite=suite, instance_id=OTHER, root=OTHER_ROOT)
    assert believed(data[:12] + OTHER.bytes + data[28:]) is None
    assert believed(theirs[:12] + INSTANCE.bytes + theirs[28:]) is None
    assert believed(data, direction=Direction.TO_CONTROL) is None
    assert believed(sealed(body, suite=suite, instance_id=INSTANCE, root=OTHER_ROOT)) is None
    assert believed(sealed(body, suite=suite, instance_id=OTHER, root=ROOT)) is None


@settings(deadline=None)
@given(st.integers(1, 24 * 3600 * 1000), st.integers(-(2**40), 2**40))
def test_time(lifetime_ms: int, passed_ms: int) -> None:
    """A message is believed from 120 s before its issue to its expiry, and at no other time."""
    message = believed(sealed(lifetime_ms=lifetime_ms), now_ms=NOW_MS + passed_ms)
    assert (message is not None) == (-120_000 <= passed_ms <= lifetime_ms)


_fields: dict[str, tuple[int, int]] = {
    "suite": (3, 1),
    "kind": (5, 1),
    "epoch": (8, 4),
    "instance": (12, 16),
    "session": (28, 8),
    "sequence": (36, 8),
    "issued": (44, 8),
    "expires": (52, 8),
}


@settings(deadline=None)
@given(st.sampled_from(sorted(_fields)), st.data())
def test_field_replaced(field: str, data: st.DataObject) -> None:
    """No field of the header can be given another value, valid or not."""
    offset, length = _fields[field]
    whole = sealed()
    value = data.draw(
        st.binary(min_size=length, max_size=length).filter(lambda new: new != whole[offset : offset + length])
    )
    assert believed(whole[:offset] + value + whole[offset + length :]) is None


@settings(deadline=None)
@given(st.integers(1, 2**32 - 1), st.uuids())
def test_only_known_keys(epoch: int, instance_id: UUID) -> None:
    """A message under a root key that the receiver does not hold for that instance and epoch is not believed."""
    known = (instance_id, epoch) == (INSTANCE, EPOCH)
    assert known or believed(sealed(instance_id=instance_id, epoch=epoch)) is None


@settings(deadline=None)
@given(st.lists(st.sampled_from(["whole", "late", "other"]), max_size=8))
def test_bad_messages_between_good_ones(traffic: list[str]) -> None:
    """What is refused leaves nothing behind: the good ones open as if alone."""
    made: dict[str, Callable[[], bytes]] = {
        "whole": sealed,
        "late": lambda: sealed(issued_ms=NOW_MS - 2 * LIFETIME_MS),
        "other": lambda: sealed(root=OTHER_ROOT),
    }
    opened = [believed(made[kind]()) is not None for kind in traffic]
    assert opened == [kind == "whole" for kind in traffic]
