"""The two ends of a conversation."""

import pytest
from tests.support.bus_kit import INSTANCE, LIFETIME_MS, NOW_MS, control_end, guest_end, keyring

from muniment.bus.endpoint import Endpoint, next_session
from muniment.bus.envelope import EnvelopeError, Kind
from muniment.bus.suite import Direction
from muniment.bus.window import Replayed, Window


def test_conversation() -> None:
    """What one end seals the other opens, in both directions."""
    guest, control = guest_end(), control_end()
    command = control.seal(Kind.COMMAND, b"do", now_ms=NOW_MS, lifetime_ms=LIFETIME_MS)
    assert guest.open(command, now_ms=NOW_MS).body == b"do"
    reply = guest.seal(Kind.REPLY, b"done", now_ms=NOW_MS, lifetime_ms=LIFETIME_MS)
    assert control.open(reply, now_ms=NOW_MS).kind is Kind.REPLY


def test_crash_before_accepting() -> None:
    """A message whose effect was not yet durable opens again; after `accept` it is a replay."""
    guest = guest_end()
    command = control_end().seal(Kind.COMMAND, b"do", now_ms=NOW_MS, lifetime_ms=LIFETIME_MS)
    guest.open(command, now_ms=NOW_MS)
    guest.accept(guest.open(command, now_ms=NOW_MS))
    with pytest.raises(Replayed):
        guest.open(command, now_ms=NOW_MS)


def test_restarted_agent() -> None:
    """An agent that kept its window knows old messages after a restart."""
    before = guest_end()
    command = control_end().seal(Kind.COMMAND, b"do", now_ms=NOW_MS, lifetime_ms=LIFETIME_MS)
    before.accept(before.open(command, now_ms=NOW_MS))
    after = guest_end(NOW_MS + 1)
    after.window = Window.from_bytes(before.window.to_bytes())
    with pytest.raises(Replayed):
        after.open(command, now_ms=NOW_MS)


def test_rolled_back_guest() -> None:
    """A guest with an old session number is not believed once a newer one was heard."""
    control = control_end()
    new = guest_end(2).seal(Kind.HEARTBEAT, b"", now_ms=NOW_MS, lifetime_ms=LIFETIME_MS)
    old = guest_end(1).seal(Kind.HEARTBEAT, b"", now_ms=NOW_MS, lifetime_ms=LIFETIME_MS)
    control.accept(control.open(new, now_ms=NOW_MS))
    with pytest.raises(EnvelopeError, match="stale_session"):
        control.open(old, now_ms=NOW_MS)


def test_session_grows() -> None:
    """A new session is above the last used one, also when the clock went back."""
    assert next_session(0, NOW_MS) == NOW_MS
    assert next_session(NOW_MS, NOW_MS - 5000) == NOW_MS + 1


def test_no_key_to_speak_with() -> None:
    """An end without a key of its epoch says so."""
    end = Endpoint(keyring(), INSTANCE, says=Direction.TO_GUEST, epoch=1, session=1)
    with pytest.raises(EnvelopeError, match="unknown_key"):
        end.seal(Kind.COMMAND, b"", now_ms=NOW_MS, lifetime_ms=LIFETIME_MS)
