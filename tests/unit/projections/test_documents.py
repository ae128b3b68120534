"""Documents with holes."""

from datetime import UTC, datetime

import msgspec
import pytest

from muniment_projections.documents import (
    BETWEEN,
    Site,
    VolumeUse,
    encode,
    gigabytes,
    instant,
    join,
    links,
    split,
    timestamp,
    volume,
)

SITE = Site("https://db.example.org:8779", "6f1d3a")


def test_links_get_the_host_and_project_of_the_request() -> None:
    """The same stored bytes answer every host and every project."""
    document = encode({"links": links("instances", "abc")})

    filled = msgspec.json.decode(SITE.fill(document))

    assert filled == {
        "links": [
            {"href": "https://db.example.org:8779/v1.0/6f1d3a/instances/abc", "rel": "self"},
            {"href": "https://db.example.org:8779/instances/abc", "rel": "bookmark"},
        ]
    }


def test_odd_ids_are_quoted_in_links() -> None:
    """Flavor and project ids are opaque strings: whatever is in them, a link stays a link and JSON stays JSON."""
    document = encode({"links": links("flavors", 'a/b"\x01 ü')})

    filled = msgspec.json.decode(Site("http://h", 'p/"').fill(document))

    assert filled["links"][0]["href"] == "http://h/v1.0/p%2F%22/flavors/a%2Fb%22%01%20%C3%BC"


@pytest.mark.parametrize("hole", ["\x01", "\x02", "\x03"])
def test_no_text_can_look_like_a_hole(hole: str) -> None:
    """A tenant's name that holds the hole's own character comes back as it is."""
    document = encode({"name": f"a{hole}b", "links": links("instances", "abc")})

    assert msgspec.json.decode(SITE.fill(document))["name"] == f"a{hole}b"


def test_use_goes_into_the_volume_where_it_is_shown() -> None:
    """The last figures of the guest are merged in when a single instance is shown."""
    document = encode({"volume": volume(10, shows_use=True)})

    filled = SITE.fill(document, VolumeUse(used_bytes=450_971_566, available_bytes=9_775_000_000))

    assert msgspec.json.decode(filled) == {"volume": {"size": 10, "used": 0.42, "used_percent": 4.41}}


def test_without_figures_there_is_only_the_size() -> None:
    """A list, or an instance whose guest has not reported yet, shows the size alone."""
    document = encode({"volume": volume(10, shows_use=True)})

    assert SITE.fill(document) == b'{"volume":{"size":10}}'


def test_a_volume_without_room_does_not_divide_by_it() -> None:
    """Figures of a volume that is not there yet are zero."""
    filled = SITE.fill(encode(volume(1, shows_use=True)), VolumeUse(used_bytes=0, available_bytes=0))

    assert msgspec.json.decode(filled) == {"size": 1, "used": 0.0, "used_percent": 0.0}


def test_a_list_is_filled_in_one_go() -> None:
    """Documents of a page become one JSON array."""
    documents = [encode({"links": links("instances", str(n))}) for n in range(3)]

    filled = msgspec.json.decode(SITE.fill_list(join(documents)))

    assert [entry["links"][1]["href"][-1] for entry in filled] == ["0", "1", "2"]


def test_an_empty_list_is_an_empty_array() -> None:
    """No documents, no commas."""
    assert SITE.fill_list(join([])) == b"[]"


def test_documents_that_were_joined_are_split_again() -> None:
    """Texts may hold whatever stands between documents: JSON escapes the line's end."""
    documents = [encode({"name": BETWEEN}), encode({"name": f"}}{BETWEEN}{{"}), encode({"name": ""})]

    assert split(join(documents)) == documents
    assert split(join([])) == []


def test_moments_are_written_as_trove_writes_them() -> None:
    """Trove's fields are naive and in whole seconds, ours have a zone and microseconds."""
    at = datetime(2026, 11, 22, 17, 52, 5, 999_999, tzinfo=UTC)

    assert (timestamp(at), instant(at)) == ("2026-11-22T17:52:05", "2026-11-22T17:52:05.999999Z")
    assert (timestamp(None), instant(None)) == (None, None)


def test_the_smallest_size_that_is_shown_is_not_nothing() -> None:
    """A backup of a few bytes is not shown as empty."""
    assert [gigabytes(n) for n in (0, 1, 2**30, 450_971_566)] == [0.0, 0.01, 1.0, 0.42]
