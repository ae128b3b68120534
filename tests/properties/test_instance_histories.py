"""Laws of an instance's stream."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.strategies import histories

from muniment.domain import instance as i
from muniment.domain.event import Event
from muniment.domain.history import IllegalHistory
from muniment.domain.status import operating_status_of, status_of

STATUSES = {"BUILD", "ACTIVE", "REBOOT", "BACKUP", "ERROR", "SHUTDOWN"}
OPERATING = {"", "HEALTHY", "ACTIVE", "SHUTDOWN", "ERROR"}


@given(histories())
def test_replay_equals_live(history: list[Event]) -> None:
    """Folding any prefix gives the state that was there live at that version."""
    live: list[i.Instance] = []
    state: i.Instance | None = None
    for event in history:
        state = i.apply(state, event)
        live.append(state)
    for length, expected in enumerate(live, start=1):
        assert i.INSTANCE.fold(None, history[:length]) == expected


@given(histories(), st.data())
def test_illegal_histories_are_refused(history: list[Event], data: st.DataObject) -> None:
    """A history with an event removed, repeated, moved or foreign is not accepted."""
    if len(history) < 3:
        return
    at = data.draw(st.integers(1, len(history) - 2))
    removed = [*history[:at], *history[at + 1 :]]
    repeated = [*history[: at + 1], history[at], *history[at + 1 :]]
    moved = [*history[:at], history[at + 1], history[at], *history[at + 2 :]]
    foreign = [
        *history[:at],
        msgspec.structs.replace(history[at], originator_id=data.draw(st.uuids())),
        *history[at + 1 :],
    ]
    for bad in (removed, repeated, moved, foreign, history[1:]):
        with pytest.raises(IllegalHistory):
            i.INSTANCE.fold(None, bad)


@given(histories())
def test_nothing_follows_the_end(history: list[Event]) -> None:
    """After InstanceDeleted no event is accepted."""
    state = i.INSTANCE.fold(None, history)
    assert state is not None
    at = {"originator_id": state.id, "originator_version": state.version + 1}
    ended = i.apply(state, i.InstanceDeleted(**at))
    with pytest.raises(IllegalHistory):
        i.apply(
            ended, i.InstanceRenamed(originator_id=state.id, originator_version=ended.version + 1, name="x")
        )


@given(histories())
def test_every_state_has_a_status_that_clients_know(history: list[Event]) -> None:
    """Whatever happened, status and operating status are among the words that clients understand."""
    state = i.INSTANCE.fold(None, history)
    assert state is not None
    assert status_of(state) in STATUSES
    assert operating_status_of(state) in OPERATING
    if state.lifecycle is not i.Lifecycle.ACTIVE:
        assert operating_status_of(state) == ""
