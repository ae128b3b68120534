"""Capability `databases`."""

import pytest

from muniment.contract import ops
from muniment.contract.errors import Code, RejectedName
from muniment.contract.kit.instance import Instance
from muniment.contract.kit.plugin import NewInstance
from muniment.contract.ops import DatabaseSpec, Page

pytestmark = pytest.mark.capability("databases")

ODD_NAMES = (
    "KitUpper",
    "kit-dash",
    "kit space",
    "kit.dot",
    "kit'quote",
    'kit"double',
    "kit;semi",
    "kit%s",
    "kit_ü",
    "kit$",
)


def test_a_new_server_lists_nothing(new_instance: NewInstance) -> None:
    """The engine's own databases are nobody's business."""
    instance = new_instance()
    instance.bring_up()

    assert instance.database_names() == []


@pytest.mark.parametrize("name", ODD_NAMES)
def test_names_that_control_accepts(up: Instance, name: str) -> None:
    """A name that the control half lets pass is made, listed as it is, and dropped."""
    try:
        up.subject.control.check_database(DatabaseSpec(name=name))
    except RejectedName:
        assert up.refusal(ops.DB_CREATE, DatabaseSpec(name=name)) in (Code.INVALID_ARGUMENT, Code.DB_REFUSED)
        return

    up.do(ops.DB_CREATE, DatabaseSpec(name=name))
    assert name in up.database_names()
    up.do(ops.DB_DROP, ops.DropDatabase(name=name))
    assert name not in up.database_names()


def test_what_is_listed_can_be_asked_for(up: Instance) -> None:
    """A listing says character set and collation in the words that a create takes."""
    up.do(ops.DB_CREATE, DatabaseSpec(name="kit_words"))
    listed = next(item for item in up.do(ops.DB_LIST, Page()).items if item.name == "kit_words")

    up.do(ops.DB_CREATE, listed)

    assert listed.character_set


def test_pages(up: Instance) -> None:
    """Pages of any size, one after the other, are the whole list in order, without a repetition."""
    for number in range(5):
        up.do(ops.DB_CREATE, DatabaseSpec(name=f"kit_page_{number}"))
    everything = up.database_names()

    for limit in (1, 2, 1000):
        assert _in_pages(up, limit) == everything


def _in_pages(up: Instance, limit: int) -> list[str]:
    names: list[str] = []
    more = True
    while more:
        page = up.do(ops.DB_LIST, Page(limit=limit, marker=names[-1] if names else None))
        names += [item.name for item in page.items]
        more = page.more
        assert len(page.items) == limit or not more
    return names
