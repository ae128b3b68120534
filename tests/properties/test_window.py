"""Laws of the replay window: each message has its effect at most once, whatever order and however often it comes."""

from collections.abc import Sequence

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.bus_kit import NOW_MS, keyring, sealed

from muniment.bus.envelope import EnvelopeError, Message, open_envelope
from muniment.bus.suite import Direction
from muniment.bus.window import WINDOW_BITS, Window

_MESSAGE = open_envelope(sealed(), keyring(), Direction.TO_GUEST, now_ms=NOW_MS)

numbers = st.tuples(st.integers(1, 3), st.integers(1, 700))
traffic = st.lists(numbers, max_size=60)


def is_fresh(window: Window, message: Message) -> bool:
    """Whether the window takes it."""
    try:
        window.check(message)
    except EnvelopeError:
        return False
    return True


def accepted(arriving: Sequence[tuple[int, int]], *, restart: bool = False) -> list[tuple[int, int]]:
    """What a receiver takes, in order; with `restart` it keeps nothing but the window's bytes between messages."""
    window, taken = Window(), []
    for session, sequence in arriving:
        message = msgspec.structs.replace(_MESSAGE, session=session, sequence=sequence)
        if is_fresh(window, message):
            window = window.accept(message)
            taken.append((session, sequence))
        if restart:
            window = Window.from_bytes(window.to_bytes())
    return taken


def model(arriving: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same in its plainest form: remember everything."""
    taken: list[tuple[int, int]] = []
    for session, sequence in arriving:
        newest = max((s for s, _ in taken), default=0)
        high = max((q for s, q in taken if s == newest), default=0)
        old = session == newest and sequence <= high - WINDOW_BITS
        if session >= newest and not old and (session, sequence) not in taken:
            taken.append((session, sequence))
    return taken


@settings(deadline=None)
@given(traffic)
def test_as_the_model(arriving: list[tuple[int, int]]) -> None:
    """The window takes what a receiver with a perfect memory would take."""
    assert accepted(arriving) == model(arriving)


@settings(deadline=None)
@given(traffic)
def test_at_most_once(arriving: list[tuple[int, int]]) -> None:
    """Sent twice over, nothing is taken twice."""
    taken = accepted(arriving + arriving)
    assert len(taken) == len(set(taken))


@settings(deadline=None)
@given(traffic)
def test_restart(arriving: list[tuple[int, int]]) -> None:
    """A receiver that restarts after every message takes the same ones."""
    assert accepted(arriving, restart=True) == accepted(arriving)


@settings(deadline=None)
@given(st.permutations(range(1, 200)), st.data())
def test_shuffled(order: list[int], data: st.DataObject) -> None:
    """Within the window's reach nothing is lost, however it is shuffled and repeated."""
    repeats = data.draw(st.lists(st.sampled_from(order), max_size=50))
    arriving = [(1, sequence) for sequence in [*order, *repeats]]
    assert {sequence for _, sequence in accepted(arriving)} == set(order)


@settings(deadline=None)
@given(traffic, st.integers(1, 2**63 - 1))
def test_jump(arriving: list[tuple[int, int]], jump: int) -> None:
    """A jump of any length leaves a window of the same size."""
    window = Window()
    for session, sequence in [*arriving, (3, jump)]:
        message = msgspec.structs.replace(_MESSAGE, session=session, sequence=sequence)
        window = window.accept(message) if is_fresh(window, message) else window
    assert window.seen < 1 << WINDOW_BITS
    assert len(window.to_bytes()) == 49
