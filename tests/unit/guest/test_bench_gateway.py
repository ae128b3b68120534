"""The kit's gateway hands out what the real one would: what is not confirmed, to whoever asked last."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from muniment.bus.transports.gateway_wire import uplink_path
from muniment_guest.bench.gateway import BenchGateway
from muniment_guest.processes import wait_until


@pytest.fixture
def gateway() -> Iterator[BenchGateway]:
    made = BenchGateway(UUID(int=1), lambda request: request, "password")
    yield made
    made.close()


def test_what_is_not_confirmed_comes_again(gateway: BenchGateway) -> None:
    """An agent that is killed and asks from the start is handed what it never said it had dealt with."""
    gateway.send(b"first")
    confirmed = gateway.fetch(0, wait_s=0).cursor
    gateway.send(b"second")
    gateway.fetch(int(confirmed), wait_s=0)

    again = gateway.fetch(0, wait_s=0)

    assert again.envelopes == [b"second"]


def test_what_is_confirmed_is_gone(gateway: BenchGateway) -> None:
    """Nor does a long run make each restart of its agent slower than the last."""
    gateway.send(b"first")
    cursor = gateway.fetch(0, wait_s=0).cursor
    gateway.fetch(int(cursor), wait_s=0)

    assert gateway.fetch(0, wait_s=0).envelopes == []


def test_half_a_message_is_none(gateway: BenchGateway) -> None:
    """What an agent was sending when it was killed is not heard; what the next one sends is."""
    address = ("127.0.0.1", int(gateway.address.rpartition(":")[2]))
    head = f"POST {uplink_path(UUID(int=1))} HTTP/1.1\r\nAuthorization: Bearer password\r\nContent-Length: 4\r\n\r\n"
    with socket.create_connection(address) as killed:
        killed.sendall(head.encode() + b"ha")
        killed.shutdown(socket.SHUT_WR)
        assert killed.recv(1) == b""
    with socket.create_connection(address) as living:
        living.sendall(head.encode() + b"full")

        assert gateway.uplink.get(timeout=10) == b"full"


def test_the_dead_are_handed_nothing(gateway: BenchGateway) -> None:
    """A poll whose agent was killed waits on; what comes goes to the next agent, and counts as fetched only then."""
    with ThreadPoolExecutor(2) as agents:
        killed = agents.submit(gateway.fetch, 0, wait_s=30)
        assert wait_until(lambda: gateway.polls == 1, 10)
        living = agents.submit(gateway.fetch, 0, wait_s=30)
        assert killed.result(timeout=10).envelopes == []
        number = gateway.send(b"first")

        assert gateway.was_fetched(number, timeout_s=10)
        assert living.result(timeout=10).envelopes == [b"first"]
