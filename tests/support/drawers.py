"""A small aggregate of the tests' own: a drawer with slips. It has every shape of personal field and an old version."""

from uuid import UUID

import msgspec

from muniment.domain.event import Aggregate, Event, Personal, topic


class Slip(msgspec.Struct, frozen=True, kw_only=True):
    """A slip in a drawer."""

    title: Personal
    pages: int


@topic("tests.drawer.opened.2")
class DrawerOpened(Event, frozen=True, kw_only=True):
    """The drawer came to be."""

    label: Personal
    shelf: int
    remark: Personal | None = None
    slips: list[Slip] = []
    keepers: dict[str, Personal] = {}


def _lift(old: Event) -> DrawerOpened:
    assert isinstance(old, DrawerOpenedV1)
    common = {name: getattr(old, name) for name in Event.__struct_fields__}
    return DrawerOpened(label=old.label, shelf=old.row * 10, **common)


@topic("tests.drawer.opened.1", upcast=_lift)
class DrawerOpenedV1(Event, frozen=True, kw_only=True):
    """The drawer came to be, as it was written first: rows of ten shelves."""

    label: Personal
    row: int


@topic("tests.drawer.moved.1")
class DrawerMoved(Event, frozen=True, kw_only=True):
    """The drawer went to another shelf. No field of it is personal."""

    shelf: int


class Drawer(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a drawer."""

    id: UUID
    version: int
    label: str
    shelf: int


def apply(state: Drawer | None, event: Event) -> Drawer:
    """One event more."""
    version = event.originator_version
    if isinstance(event, DrawerOpened):
        return Drawer(id=event.originator_id, version=version, label=event.label, shelf=event.shelf)
    assert isinstance(event, DrawerMoved)
    assert state is not None
    return msgspec.structs.replace(state, version=version, shelf=event.shelf)


DRAWER = Aggregate("drawer", apply)


def opened(drawer_id: UUID, label: str = "deeds", shelf: int = 1) -> DrawerOpened:
    """The first event of a drawer."""
    return DrawerOpened(originator_id=drawer_id, originator_version=1, label=label, shelf=shelf)


def moved(drawer_id: UUID, version: int, shelf: int = 2) -> DrawerMoved:
    """A later event of a drawer."""
    return DrawerMoved(originator_id=drawer_id, originator_version=version, shelf=shelf)
