"""What the gateway and its guests agree on: paths, headers, limits and the one body that is not sealed bytes alone."""

from typing import Final
from uuid import UUID

import msgspec

__all__ = [
    "BINARY",
    "DOWNLINK_BYTES_MAX",
    "ENROL_PATH",
    "WAIT_S_MAX",
    "Downlink",
    "decode_downlink",
    "downlink_path",
    "encode_downlink",
    "uplink_path",
]

BINARY: Final = "application/octet-stream"
ENROL_PATH: Final = "/v1/enrolments"
DOWNLINK_BYTES_MAX: Final = 4 * 1024 * 1024
"""The largest answer to a poll."""
WAIT_S_MAX: Final = 25.0
"""How long the gateway lets a request wait: shorter than what proxies and firewalls give an idle connection."""


class Downlink(msgspec.Struct, frozen=True):
    """The answer to a poll. Asking with `after=cursor` next time says that these were dealt with.

    The cursor is opaque to the guest. It names the last envelope and not just its number, so that a gateway whose
    numbers began anew, restored from a backup, does not take it for a confirmation of what the guest never saw.
    """

    cursor: str
    envelopes: list[bytes]


def uplink_path(instance_id: UUID | str) -> str:
    """Where an instance posts its envelopes, one a request."""
    return f"/v1/instances/{instance_id}/uplink"


def downlink_path(instance_id: UUID | str) -> str:
    """Where an instance polls, with `?after=<cursor>&wait=<seconds>`."""
    return f"/v1/instances/{instance_id}/downlink"


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Downlink)


def encode_downlink(downlink: Downlink) -> bytes:
    """The body of a poll's answer."""
    return _encoder.encode(downlink)


def decode_downlink(body: bytes) -> Downlink:
    """Read a poll's answer; raises msgspec.DecodeError or ValidationError."""
    return _decoder.decode(body)
