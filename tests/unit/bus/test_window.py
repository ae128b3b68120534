"""The replay window: what is fresh, what is not, and what survives a restart."""

import msgspec
import pytest
from tests.support.bus_kit import NOW_MS, keyring, sealed

from muniment.bus.envelope import EnvelopeError, Message, open_envelope
from muniment.bus.suite import Direction
from muniment.bus.window import WINDOW_BITS, Replayed, Window

_MESSAGE = open_envelope(sealed(), keyring(), Direction.TO_GUEST, now_ms=NOW_MS)


def numbered(session: int, sequence: int) -> Message:
    """A message with these numbers."""
    return msgspec.structs.replace(_MESSAGE, session=session, sequence=sequence)


def heard(*sequences: int) -> Window:
    """A window after these sequences of session 1."""
    window = Window()
    for sequence in sequences:
        window = window.accept(numbered(1, sequence))
    return window


def test_check_changes_nothing() -> None:
    """A message that was checked and not accepted, as after a crash in between, is fresh again."""
    window = heard(1)
    assert window.check(numbered(1, 2)) == 0
    assert window.check(numbered(1, 2)) == 0


def test_replayed() -> None:
    """An accepted message is not fresh again; the error carries it, so that a reply can be repeated."""
    with pytest.raises(Replayed) as caught:
        heard(1, 2).check(numbered(1, 1))
    assert (caught.value.reason, caught.value.message.sequence) == ("replayed", 1)


def test_out_of_order() -> None:
    """What was overtaken is fresh once when it comes."""
    window = heard(1, 4)
    assert window.check(numbered(1, 2)) == 0
    with pytest.raises(Replayed):
        window.accept(numbered(1, 2)).check(numbered(1, 2))


def test_gap() -> None:
    """A skip of numbers is told, at the head of a session as well."""
    assert heard(1).check(numbered(1, 5)) == 3
    assert heard(1).check(numbered(2, 3)) == 2


@pytest.mark.parametrize(("behind", "fresh"), [(WINDOW_BITS - 1, True), (WINDOW_BITS, False)])
def test_too_old(behind: int, fresh: bool) -> None:
    """What lies further back than the window remembers counts as heard."""
    window = heard(1000)
    message = numbered(1, 1000 - behind)
    assert _is_fresh(window, message) is fresh


def test_stale_session() -> None:
    """After a newer session the older one is over, whatever its numbers."""
    window = Window().accept(numbered(5, 1))
    with pytest.raises(EnvelopeError, match="stale_session"):
        window.check(numbered(4, 900))


def test_new_session_starts_over() -> None:
    """A new session has its own numbers from 1."""
    window = heard(1, 2, 3).accept(numbered(2, 1))
    assert window == Window(2, 1, 1)


def test_far_jump() -> None:
    """A sender that jumps to the largest number costs no memory."""
    window = heard(1).accept(numbered(1, 2**63 - 1))
    assert window.high == 2**63 - 1
    assert window.seen == 1


def test_head_alone() -> None:
    """A window of which only the head was kept takes nothing at or below it."""
    window = Window.heard_up_to(1, 40)
    assert not _is_fresh(window, numbered(1, 39))
    assert _is_fresh(window, numbered(1, 41))


def test_state() -> None:
    """The 49 bytes that are kept bring the same window back."""
    window = heard(3, 1, 200)
    assert len(window.to_bytes()) == 49
    assert Window.from_bytes(window.to_bytes()) == window


def test_accept_checks() -> None:
    """Accepting what is not fresh is refused as well."""
    with pytest.raises(Replayed):
        heard(1).accept(numbered(1, 1))


def _is_fresh(window: Window, message: Message) -> bool:
    try:
        window.check(message)
    except Replayed:
        return False
    return True
