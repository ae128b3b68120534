"""Flavor documents."""

import msgspec
import pytest

from muniment.cloud.recipes import Flavor
from muniment_api.resources.flavors import flavor_document
from muniment_projections.documents import Site


@pytest.mark.parametrize(
    ("flavor_id", "number"), [("2", 2), ("0", 0), ("007", None), ("d2", None), ("٣", None), ("9" * 30, None)]
)
def test_id_is_a_number_only_where_it_comes_back_the_same(flavor_id: str, number: int | None) -> None:
    """Leading zeros, other digits and what Go cannot hold make `id` null; `str_id` is always the id."""
    document = flavor_document(Flavor(id=flavor_id, name="x", ram_mib=1, vcpus=1))
    shown = msgspec.json.decode(Site("http://h", "p").fill(document))
    assert (shown["id"], shown["str_id"]) == (number, flavor_id)
