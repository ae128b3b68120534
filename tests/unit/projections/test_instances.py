"""Instances as Trove shows them."""

from typing import Any
from uuid import UUID

import msgspec
import pytest
from tests.support.logs import requested
from tests.support.shown import SITE, projected, shown
from tests.support.strategies import PROJECT

from muniment.domain import instance as i
from muniment.domain import resources as r
from muniment.domain.event import ERASED, Event
from muniment.domain.occupancy import Hold, Occupied, Released
from muniment_projections.documents import VolumeUse
from muniment_projections.instances import Instances
from muniment_projections.row import View

ID = UUID("0b5c3c0a-6a43-4a7e-9a35-3f9f2b1d7e11")
OPERATION = UUID("0b5c3c0a-6a43-4a7e-9a35-3f9f2b1d7e12")


def _links(path: str) -> list[dict[str, str]]:
    return [
        {"href": f"http://h/v1.0/p/{path}", "rel": "self"},
        {"href": f"http://h/{path}", "rel": "bookmark"},
    ]


def _history(*kinds: tuple[type[Event], dict[str, object]]) -> list[Event]:
    later = [
        kind(originator_id=ID, originator_version=number, **fields)
        for number, (kind, fields) in enumerate(kinds, start=2)
    ]
    return [requested(ID), *later]


ENDPOINT = (r.EndpointAssigned, {"address": "127.0.12.1", "port": 5433, "network_id": "net"})
ACTIVE: tuple[type[Event], dict[str, object]] = (i.InstanceBecameActive, {})
HEALTHY = (i.HealthChanged, {"state": "healthy"})


def _shown(*history: tuple[type[Event], dict[str, object]], view: View = View.DETAIL) -> Any:
    _, read_model = projected(*([event] for event in _history(*history)))
    return shown(Instances(read_model).get(ID, project_id=PROJECT, view=view))


def test_a_new_instance_in_a_list() -> None:
    """The summary has exactly Trove's members, and no address before there is one."""
    assert _shown(view=View.SUMMARY) == {
        "id": str(ID),
        "name": "orders",
        "status": "BUILD",
        "operating_status": "",
        "links": _links(f"instances/{ID}"),
        "flavor": {"id": "1", "links": _links("flavors/1")},
        "datastore": {"type": "postgresql", "version": "18"},
        "region": "RegionOne",
        "access": {},
        "volume": {"size": 2},
    }


def test_an_active_instance_in_full() -> None:
    """The detail view adds times, the exact version, and where to connect."""
    detail = _shown(ENDPOINT, ACTIVE, HEALTHY)

    assert (
        detail
        | {
            "status": "ACTIVE",
            "operating_status": "HEALTHY",
            "datastore": {"type": "postgresql", "version": "18", "version_number": "18.6"},
            "ip": ["127.0.12.1"],
            "addresses": [{"address": "127.0.12.1", "type": "private", "network": "net"}],
            "endpoints": [{"type": "client", "host": "127.0.12.1", "port": 5433, "network": "net"}],
            "access": {"is_public": False},
            "created": "2026-01-01T00:00:01",
            "updated": "2026-01-01T00:00:03",
            "service_status_updated": "2026-01-01T00:00:04",
        }
        == detail
    )
    assert "tenant_id" not in detail


def test_details_of_a_fault_are_for_administrators() -> None:
    """The owner reads the message; what the cloud said, and ids of resources, only an administrator."""
    history = (
        (r.ResourceHeld, {"role": r.Role.SERVER, "resource_id": "server-1"}),
        (i.InstanceFailed, {"message": "no room", "details": "host compute-7"}),
    )

    owner, admin = _shown(*history), _shown(*history, view=View.ADMIN_DETAIL)

    assert owner["fault"] == {"message": "no room", "created": "2026-01-01T00:00:03", "details": None}
    assert admin["fault"]["details"] == "host compute-7"
    assert (admin["tenant_id"], admin["server_id"], admin["volume_id"]) == (PROJECT, "server-1", None)
    assert admin["encrypted_rpc_messaging"] is True
    assert not {"server_id", "volume_id", "tenant_id", "encrypted_rpc_messaging"} & owner.keys()
    assert owner["status"] == "ERROR"


def test_the_summary_for_administrators_names_the_project() -> None:
    """And nothing else beyond the owner's."""
    assert _shown(view=View.ADMIN_SUMMARY) == _shown(view=View.SUMMARY) | {"tenant_id": PROJECT}


@pytest.mark.parametrize(
    ("access", "expected"),
    [
        (i.Access(), {"is_public": False}),
        (i.Access(is_public=True), {"is_public": True}),
        (i.Access(allowed_cidrs=("10.0.0.0/8",)), {"is_public": False, "allowed_cidrs": ["10.0.0.0/8"]}),
        (i.Access(is_public=True, allowed_cidrs=()), {"is_public": True, "allowed_cidrs": []}),
    ],
)
def test_access_is_what_was_said(access: i.Access, expected: dict[str, object]) -> None:
    """What was given at the request is shown; without a word, what the addresses tell."""
    first = msgspec.structs.replace(requested(ID), access=access)
    endpoint = ENDPOINT[0](originator_id=ID, originator_version=2, **ENDPOINT[1])
    _, read_model = projected([first, endpoint])

    assert shown(Instances(read_model).get(ID, project_id=PROJECT, view=View.DETAIL))["access"] == expected


def test_figures_of_the_volume_show_only_while_they_mean_something() -> None:
    """An active instance shows what beats last reported, one that restarts does not."""
    use = VolumeUse(used_bytes=2**30, available_bytes=3 * 2**30)
    occupied = (Occupied, {"operation_id": OPERATION, "kind": "restart_instance", "hold": Hold.EXCLUSIVE})
    _, read_model = projected(*([event] for event in _history(ENDPOINT, ACTIVE, HEALTHY, occupied)))
    instances = Instances(read_model)

    active = instances.get(ID, project_id=PROJECT, view=View.DETAIL, as_of=4)
    restarting = instances.get(ID, project_id=PROJECT, view=View.DETAIL)

    assert active is not None
    assert restarting is not None
    volume = {"size": 2, "used": 1.0, "used_percent": 25.0}
    assert msgspec.json.decode(SITE.fill(active, use))["volume"] == volume
    assert msgspec.json.decode(SITE.fill(restarting, use))["volume"] == {"size": 2}


def test_status_follows_the_operation_at_work() -> None:
    """A restart shows as REBOOT with no operating status, and is over when the operation leaves."""
    occupied = (Occupied, {"operation_id": OPERATION, "kind": "restart_instance", "hold": Hold.EXCLUSIVE})
    released = (Released, {"operation_id": OPERATION})
    _, read_model = projected(*([e] for e in _history(ENDPOINT, ACTIVE, HEALTHY, occupied, released)))
    instances = Instances(read_model)

    seen = [
        shown(instances.get(ID, project_id=PROJECT, view=View.SUMMARY, as_of=position))
        for position in range(1, 7)
    ]

    assert [(s["status"], s["operating_status"]) for s in seen] == [
        ("BUILD", ""),
        ("BUILD", ""),
        ("ACTIVE", "ERROR"),
        ("ACTIVE", "HEALTHY"),
        ("REBOOT", ""),
        ("ACTIVE", "HEALTHY"),
    ]


def test_a_deleted_instance_is_gone_but_not_forgotten() -> None:
    """Now there is none; as of the moment before, there is."""
    _, read_model = projected(
        *([event] for event in _history((i.DeletionRequested, {}), (i.InstanceDeleted, {})))
    )
    instances = Instances(read_model)

    assert instances.get(ID, project_id=PROJECT, view=View.DETAIL) is None
    before = shown(instances.get(ID, project_id=PROJECT, view=View.DETAIL, as_of=2))
    assert before["status"] == "SHUTDOWN"


def test_nobody_sees_another_projects_instance() -> None:
    """Another project's id is no id; only a question without project finds it."""
    _, read_model = projected([requested(ID)])
    instances = Instances(read_model)

    assert instances.get(ID, project_id="another", view=View.DETAIL) is None
    assert instances.page(project_id="another", view=View.SUMMARY).documents == []
    assert instances.get(ID, project_id=None, view=View.ADMIN_DETAIL) is not None


def test_an_erased_name_shows_as_erased() -> None:
    """After its project was erased, an instance has no name, and everything else goes on."""
    _, read_model = projected([requested(ID, name=ERASED)])

    assert shown(Instances(read_model).get(ID, project_id=PROJECT, view=View.SUMMARY))["name"] == "erased"


def test_events_that_change_nothing_to_see_make_no_version() -> None:
    """A row has as many versions as it had looks: resources expected are nobody's business."""
    quiet = (r.ResourceExpected, {"role": r.Role.PORT, "settled_at_s": 1.0})
    events = _history(quiet)
    _, read_model = projected(events)  # one save: both events have one log time

    with read_model.snapshot() as connection:
        table = read_model.tables(1).rows["instances"]
        versions = connection.execute(table.select()).all()

    assert [(v.valid_from, v.key) for v in versions] == [(1, str(ID))]
