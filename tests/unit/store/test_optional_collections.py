"""Personal texts in collections that may be missing."""

from uuid import UUID

import msgspec
import pytest
from tests.support.ledgers import VAULT
from tests.support.logs import requested

from muniment.domain.instance import Access
from muniment.secrets.personal import PersonalCipher
from muniment.store.mapper import decode_event, encode_event

ID = UUID("0b5c3c0a-6a43-4a7e-9a35-3f9f2b1d7e11")


@pytest.mark.parametrize("cidrs", [None, (), ("10.11.12.0/24", "10.11.13.0/24")])
def test_personal_texts_in_an_optional_tuple_are_sealed(cidrs: tuple[str, ...] | None) -> None:
    """Addresses that a tenant allowed are not readable in the stored body, and come back as they were."""
    cipher = PersonalCipher(VAULT)
    keys = cipher.keys("project-1", [(1, cipher.new_key("project-1", 1))])
    event = msgspec.structs.replace(requested(ID), access=Access(allowed_cidrs=cidrs))

    body = encode_event(event, lambda project: keys)

    assert b"10.11." not in body
    assert decode_event(event.TOPIC, body, lambda project: keys) == event
