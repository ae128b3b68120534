"""The states that a process keeps."""

from uuid import UUID

from tests.support.drawers import DRAWER

from muniment.store.states import Folded, States


def _folded(version: int) -> Folded:
    return Folded(state=object(), version=version, digest=bytes(32), keys={})


def test_the_one_not_asked_for_longest_goes_first() -> None:
    """There is room for so many streams; asking for one keeps it."""
    states, ids = States(2), [UUID(int=number) for number in range(3)]
    for stream in ids[:2]:
        states.keep(DRAWER, stream, _folded(1))
    states.find(DRAWER, ids[0])

    states.keep(DRAWER, ids[2], _folded(1))

    assert [states.find(DRAWER, stream) is not None for stream in ids] == [True, False, True]
    assert len(states) == 2


def test_the_newest_is_kept_and_nothing_can_be_kept() -> None:
    """A state takes the place of the one before; none, and the stream is forgotten."""
    states, stream = States(2), UUID(int=1)
    states.keep(DRAWER, stream, _folded(1))
    states.keep(DRAWER, stream, newest := _folded(2))

    assert states.find(DRAWER, stream) is newest
    states.keep(DRAWER, stream, None)
    assert states.find(DRAWER, stream) is None
