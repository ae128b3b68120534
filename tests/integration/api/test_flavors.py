"""The flavors resource."""

from tests.support.rest_world import RestWorld

SMALL = {
    "id": 1,
    "str_id": "1",
    "name": "d1.small",
    "ram": 512,
    "vcpus": 1,
    "disk": 0,
    "ephemeral": 0,
    "links": [
        {"href": "http://db.test:8779/v1.0/p-red/flavors/1", "rel": "self"},
        {"href": "http://db.test:8779/flavors/1", "rel": "bookmark"},
    ],
}


def test_list_shows_every_flavor(settled_world: RestWorld) -> None:
    """The list is whole, whatever limit is asked for."""
    body = settled_world.call("GET", "/flavors?limit=1").json()
    assert body["flavors"][0] == SMALL
    assert [flavor["str_id"] for flavor in body["flavors"]] == ["1", "c7-large"]
    assert body.keys() == {"flavors"}


def test_id_that_is_no_number_is_null_beside_its_text(settled_world: RestWorld) -> None:
    """Go clients want a number or null in `id`; the text is in `str_id`."""
    flavor = settled_world.call("GET", "/flavors/c7-large").json()["flavor"]
    assert (flavor["id"], flavor["str_id"]) == (None, "c7-large")
    assert settled_world.call("GET", "/flavors/1").json() == {"flavor": SMALL}


def test_unknown_flavor_is_404(settled_world: RestWorld) -> None:
    """Names are no ids."""
    assert settled_world.call("GET", "/flavors/d1.small").status_code == 404
