"""That a setting reaches the part it is for, on a real `up`."""

import httpx
from tests.support.machine import Machine

from muniment.bus.transports.gateway_wire import ENROL_PATH


def test_gateway_slows_down_as_its_settings_say(machine: Machine) -> None:
    """With a burst of one, the second enrolment from an address is too many."""
    machine.up(
        "--api", "127.0.0.1:0", MUNIMENT_GATEWAY_ENROLMENT_BURST="1", MUNIMENT_GATEWAY_ENROLMENT_RATE="0.01"
    )  # fmt: skip
    gateway = (machine.data / "gateway").read_text().strip()
    statuses = [httpx.post(gateway + ENROL_PATH, content=b"x").status_code for _ in range(2)]
    assert statuses == [400, 429]
