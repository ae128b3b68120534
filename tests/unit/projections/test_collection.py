"""Lists: order, pages, markers."""

from uuid import UUID, uuid4

import pytest
from tests.support.logs import requested, save
from tests.support.shown import projected, shown
from tests.support.strategies import PROJECT

from muniment.domain.instance import DeletionRequested, InstanceDeleted
from muniment.domain.refused import Refused
from muniment_projections.instances import Instances
from muniment_projections.projector import Projector
from muniment_projections.read_model import ReadModel
from muniment_projections.row import View


def _ids(documents: list[bytes]) -> list[UUID]:
    return [UUID(shown(document)["id"]) for document in documents]


def _walk(read_model: ReadModel, limit: int) -> list[UUID]:
    instances, marker, found = Instances(read_model), None, list[UUID]()
    for _ in range(20):
        page = instances.page(project_id=PROJECT, view=View.SUMMARY, limit=limit, marker=marker)
        found += _ids(page.documents)
        marker = page.next_marker
        if marker is None:
            break
    return found


def test_lists_are_newest_first_and_by_id_where_equally_old() -> None:
    """One save makes three instances in the same instant, a later one a fourth."""
    same = [uuid4() for _ in range(3)]
    late = uuid4()
    _, read_model = projected([requested(stream) for stream in same], [requested(late)])

    assert _walk(read_model, 100) == [late, *sorted(same, key=str)]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
def test_pages_of_every_size_give_the_whole_list(limit: int) -> None:
    """Nothing twice, nothing missing, also where a page ends between equally old ones."""
    streams = [[requested(uuid4()) for _ in range(4)] for _ in range(2)]
    _, read_model = projected(*streams)

    assert _walk(read_model, limit) == _walk(read_model, 100)
    assert len(_walk(read_model, limit)) == 8


def test_there_is_a_next_page_only_if_something_is_on_it() -> None:
    """A page that is exactly full is the last when nothing follows."""
    _, read_model = projected([requested(uuid4()) for _ in range(3)])

    page = Instances(read_model).page(project_id=PROJECT, view=View.SUMMARY, limit=3)

    assert (len(page.documents), page.next_marker) == (3, None)


def test_paging_goes_on_when_the_marker_was_deleted_meanwhile() -> None:
    """A client that deletes as it lists still sees every instance once."""
    ids = sorted((uuid4() for _ in range(4)), key=str)
    ledger, read_model = projected([requested(stream) for stream in ids])
    first = Instances(read_model).page(project_id=PROJECT, view=View.SUMMARY, limit=2)
    gone = UUID(first.next_marker)
    save(
        ledger,
        [
            [
                DeletionRequested(originator_id=gone, originator_version=2),
                InstanceDeleted(originator_id=gone, originator_version=3),
            ]
        ],
    )
    Projector(ledger.log, read_model).catch_up()

    second = Instances(read_model).page(
        project_id=PROJECT, view=View.SUMMARY, limit=2, marker=first.next_marker
    )

    assert _ids(first.documents) + _ids(second.documents) == ids


@pytest.mark.parametrize("marker", ["no-such-id", "", "\x00", "' OR 1=1 --", str(UUID(int=7))])
def test_a_marker_that_is_no_instance_is_refused(marker: str) -> None:
    """400, whatever it is."""
    _, read_model = projected([requested(uuid4())])

    with pytest.raises(Refused) as refused:
        Instances(read_model).page(project_id=PROJECT, view=View.SUMMARY, marker=marker)

    assert refused.value.status == 400


def test_another_projects_instance_is_no_marker() -> None:
    """A marker tells nothing about whether an id exists elsewhere."""
    other = uuid4()
    _, read_model = projected([requested(other, project_id="another"), requested(uuid4())])

    with pytest.raises(Refused):
        Instances(read_model).page(project_id=PROJECT, view=View.SUMMARY, marker=str(other))


def test_a_list_as_of_a_position() -> None:
    """Who came later is not in it."""
    first, second = uuid4(), uuid4()
    _, read_model = projected([requested(first)], [requested(second)])

    page = Instances(read_model).page(project_id=PROJECT, view=View.SUMMARY, as_of=1)

    assert _ids(page.documents) == [first]


def test_an_unknown_facet_is_a_bug_of_the_caller() -> None:
    """Names of columns never come from a request."""
    _, read_model = projected()

    with pytest.raises(AssertionError):
        Instances(read_model).page(project_id=None, view=View.SUMMARY, facets={"summary": "x"})
