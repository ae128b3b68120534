"""Read models in memory for tests, and what they show, decoded."""

from collections.abc import Sequence
from typing import Any

import msgspec
from tests.support.logs import new_ledger, save

from muniment.domain.event import Event
from muniment.store.ledger import Ledger
from muniment_projections.catalogue import CATALOGUE
from muniment_projections.documents import Site
from muniment_projections.projector import Projector
from muniment_projections.read_model import ReadModel

SITE = Site("http://h", "p")


def shown(document: bytes | None) -> Any:
    """A document as a client of `http://h` in project `p` decodes it."""
    assert document is not None
    return msgspec.json.decode(SITE.fill(document))


def projected(*saves: Sequence[Event]) -> tuple[Ledger, ReadModel]:
    """A ledger with these saves, a second apart, and read models that have seen all of them."""
    ledger, read_model = save(new_ledger(), saves), ReadModel.in_memory(CATALOGUE)
    Projector(ledger.log, read_model).catch_up()
    return ledger, read_model
