"""Events: authorship, topics, upcasting, folds, and what is personal."""

from collections.abc import Callable
from typing import Annotated
from uuid import UUID, uuid4

import msgspec
import pytest
from tests.support.drawers import DRAWER, DrawerMoved, DrawerOpened, DrawerOpenedV1, moved, opened

from muniment.domain.event import About, Personal, is_personal, stamp, topic, topics, upcast

DRAWER_ID = UUID(int=1)
ABOUT = About(project_id="project-1", actor="user:keeper", request_id="req-1", causation_id=UUID(int=9))


def _ids() -> Callable[[], UUID]:
    numbers = iter(range(100, 200))
    return lambda: UUID(int=next(numbers))


def test_stamping_gives_identity_and_authorship() -> None:
    """Each event gets an id of its own and the authorship of the save; the log time is the store's to give."""
    first, second = stamp([opened(DRAWER_ID), moved(DRAWER_ID, 2)], ABOUT, new_id=_ids())
    assert (first.event_id, second.event_id) == (UUID(int=100), UUID(int=101))
    assert {(e.project_id, e.actor, e.request_id, e.causation_id, e.at) for e in (first, second)} == {
        ("project-1", "user:keeper", "req-1", UUID(int=9), None)
    }


def test_stamping_keeps_what_an_event_names_itself() -> None:
    """An event of another project's stream, or one that was stamped before, stays as it is."""
    once = stamp([msgspec.structs.replace(opened(DRAWER_ID), project_id="project-2")], ABOUT, new_id=_ids())
    again = stamp(once, About(project_id="project-3", actor="conductor"), new_id=uuid4)
    assert again == once
    assert once[0].project_id == "project-2"


def test_an_old_version_is_lifted_to_the_newest() -> None:
    """Upcasting follows to the version without a successor; the newest stays itself."""
    old = DrawerOpenedV1(originator_id=DRAWER_ID, originator_version=1, label="deeds", row=4)
    assert upcast(old) == opened(DRAWER_ID, shelf=40)
    assert upcast(opened(DRAWER_ID)) == opened(DRAWER_ID)


def test_topics_name_their_classes() -> None:
    """A topic leads to its class, of every version, and a class knows its topic."""
    assert topics()["tests.drawer.opened.1"] is DrawerOpenedV1
    assert topics()["tests.drawer.opened.2"] is DrawerOpened
    assert DrawerMoved.TOPIC == "tests.drawer.moved.1"


def test_a_topic_is_registered_once() -> None:
    """Two classes under one topic would read each other's events."""
    with pytest.raises(AssertionError):
        topic("tests.drawer.moved.1")(DrawerMoved)


def test_a_fold_is_the_state_after_its_events() -> None:
    """Folding all at once, or one after the other, is the same."""
    first, second = opened(DRAWER_ID), moved(DRAWER_ID, 2, shelf=5)
    whole = DRAWER.fold(None, [first, second])
    assert whole == DRAWER.fold(DRAWER.fold(None, [first]), [second])
    assert whole is not None
    assert (whole.version, whole.shelf) == (2, 5)
    assert DRAWER.fold(None, []) is None


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (Personal, True),
        (Personal | None, True),
        (Annotated[Personal, msgspec.Meta(max_length=3)], True),
        (Annotated[Personal | None, "remark"], True),
        (list[Personal], True),
        (dict[str, Personal], True),
        (str, False),
        (str | None, False),
        (Annotated[str, msgspec.Meta(max_length=3)], False),
        (list[str], False),
    ],
)
def test_personal_is_seen_through_any_wrapping(annotation: object, expected: bool) -> None:
    """Optional, limited and collected personal texts are personal; plain ones are not."""
    assert is_personal(annotation) is expected


def test_events_do_not_change() -> None:
    """What happened is fixed."""
    with pytest.raises(AttributeError):
        opened(DRAWER_ID).label = "other"  # type: ignore[misc]
