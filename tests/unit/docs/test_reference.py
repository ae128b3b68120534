"""The reference pages say what the code does."""

import inspect

import pytest
from docs.generate import PAGES, REFERENCE
from docs.generator.errors import refusals
from docs.generator.settings import keys_without_meaning
from docs.generator.source import field_docs

from muniment.contract.errors import Code
from muniment.domain.event import topics
from muniment_api.resources.catalogue import ROUTES


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_page_is_what_the_code_says(name: str) -> None:
    """Who changes the code and not the page runs `make docs`."""
    page = (REFERENCE / name).read_text(encoding="utf-8")

    assert page == PAGES[name](), f"docs/reference/{name} is not what the code says; run make docs"


def test_every_key_of_the_settings_has_a_meaning() -> None:
    """A key that nothing is said about would be an empty cell."""
    assert keys_without_meaning() == []


def test_every_code_of_a_guest_has_a_meaning() -> None:
    """Authors of drivers choose among them."""
    assert [code.name for code in Code if not field_docs(Code).get(code.name)] == []


def test_every_route_and_event_says_what_it_is_for() -> None:
    """Their docstrings are the page."""
    speechless = [route.path for route in ROUTES if not route.handler.__doc__]
    speechless += [name for name, event in topics().items() if not inspect.getdoc(event)]

    assert speechless == []


def test_refusals_are_found_with_their_status_and_words() -> None:
    """One of each way in which the source says them."""
    found = {(refusal.code, refusal.status): refusal.message for refusal in refusals()}

    assert found["instance-not-active", "422"] == "instance … is …; wait until it is active"
    assert found["body-too-slow", "408"] == "The body did not arrive within … s."
    assert found["guest-silent", "503"].startswith("the guest of instance … did not answer")
    assert ("operation-failed", "409 or 500") in found
    assert ("not-found", "404") in found
