"""Whatever reaches the gateway, it answers with a refusal of its own; nothing unproven is kept as an envelope."""

from collections.abc import Iterator
from uuid import UUID

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.gateway_server import serving
from tests.support.ledgers import ledger_on

from muniment.bus.enrolment import Enrolling
from muniment.bus.transports.gateway_wire import ENROL_PATH, downlink_path, uplink_path
from muniment.clock import SystemClock
from muniment.dispatch.gateway_tables import GatewayTables
from muniment.secret import Secret
from muniment.store.ledger import Ledger
from muniment.store.memory import open_memory
from muniment_api.gateway.app import Gateway
from muniment_api.gateway.settings import GatewaySettings

NAME = UUID(int=7)
REQUEST = Enrolling(NAME, 1, Secret(bytes(32)), "server-1").request
FREE = GatewaySettings(enrolment_rate=100_000, enrolment_burst=1_000_000)


class Opened:
    """A gateway, its client and its store."""

    def __init__(self, client: httpx.Client, ledger: Ledger) -> None:
        """Keep them together."""
        self.client = client
        self.ledger = ledger


@pytest.fixture(scope="module")
def opened() -> Iterator[Opened]:
    """One gateway for all examples: they must not disturb each other."""
    ledger = ledger_on(open_memory(), SystemClock())
    gateway = Gateway(GatewayTables(ledger, SystemClock()), FREE)
    with serving(gateway) as url, httpx.Client(base_url=url) as client:
        yield Opened(client, ledger)
    ledger.close()


header_texts = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=100)


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=600), st.integers(0, len(REQUEST)))
def test_enrolment(opened: Opened, noise: bytes, keep: int) -> None:
    """Any body, alone or behind a real beginning: refused, or (well formed, unproven) taken and never answered."""
    for body in (noise, REQUEST[:keep] + noise):
        assert opened.client.post(ENROL_PATH, content=body).status_code in {202, 400, 413, 429}


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=600), header_texts)
def test_uplink(opened: Opened, body: bytes, shown: str) -> None:
    """Without the password no body is taken."""
    headers = {"Authorization": shown.strip()}
    answer = opened.client.post(uplink_path(NAME), content=body, headers=headers)
    assert answer.status_code == 401
    with opened.ledger.reading() as reader:
        assert all(row.kind == "enrolment" for row in reader.inbox(1000))


@settings(max_examples=40, deadline=None)
@given(header_texts, st.text(max_size=50), st.text(max_size=50))
def test_downlink(opened: Opened, shown: str, after: str, wait: str) -> None:
    """Without the password nothing is handed out, whatever is asked."""
    headers = {"Authorization": f"Bearer {shown}".strip()}
    params = {"after": after, "wait": wait}
    assert opened.client.get(downlink_path(NAME), params=params, headers=headers).status_code == 401
