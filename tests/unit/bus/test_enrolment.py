"""Enrolment: who is admitted, and who is not."""

from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from tests.support.bus_kit import EPOCH, INSTANCE, NOW_MS, ROOT

from muniment.bus.enrolment import (
    REQUEST_BYTES_MAX,
    Admission,
    Enrolling,
    EnrolmentError,
    answer_request,
    check_proof,
    read_request,
)
from muniment.secret import Secret

TOKEN = Secret(bytes(32))
ADMISSION = Admission(
    root_key=ROOT,
    bearer=Secret("gateway password"),
    server_time_ms=NOW_MS,
    incarnation=1,
    settings={"beat_s": "30"},
    bundle_sha256="ab" * 32,
)


def enrolling(token: Secret = TOKEN) -> Enrolling:
    """A guest that wants in."""
    return Enrolling(INSTANCE, EPOCH, token, "server-1")


def test_admitted() -> None:
    """A guest with the token learns its root key and the rest."""
    guest = enrolling()
    request = read_request(guest.request)
    check_proof(request, TOKEN)
    learnt = guest.open(answer_request(request, TOKEN, ADMISSION))
    assert learnt.root_key.reveal() == ROOT.reveal()
    assert learnt.bearer.reveal_text() == "gateway password"
    assert (learnt.server_time_ms, learnt.settings) == (NOW_MS, {"beat_s": "30"})


def test_request_says() -> None:
    """The request names the instance, its key epoch, the server and the guest's public key."""
    guest = enrolling()
    request = read_request(guest.request)
    assert (request.instance_id, request.key_epoch, request.server_id) == (INSTANCE, EPOCH, "server-1")
    assert request.public_key == guest.private_key.public_key().public_bytes_raw()


def test_repeated_request() -> None:
    """A guest that repeats its request sends the same bytes, so it is known by their digest."""
    guest = enrolling()
    assert read_request(guest.request).digest == read_request(guest.request).digest
    assert read_request(enrolling().request).digest != read_request(guest.request).digest


def test_without_the_token() -> None:
    """Who does not know the token proves nothing."""
    request = read_request(enrolling(Secret(b"x" * 32)).request)
    with pytest.raises(EnrolmentError, match="not_authentic"):
        check_proof(request, TOKEN)


def test_answer_for_another_request() -> None:
    """The answer to one request does not open for another guest, not even one with the token."""
    answer = answer_request(read_request(enrolling().request), TOKEN, ADMISSION)
    with pytest.raises(EnrolmentError, match="not_authentic"):
        enrolling().open(answer)


def test_false_control_plane() -> None:
    """Who does not know the token cannot make an answer."""
    guest = enrolling()
    answer = answer_request(read_request(guest.request), Secret(b"x" * 32), ADMISSION)
    with pytest.raises(EnrolmentError, match="not_authentic"):
        guest.open(answer)


def test_token_read_later() -> None:
    """Token, request and answer together do not yield the root key: a private key is missing."""
    guest = enrolling()
    answer = answer_request(read_request(guest.request), TOKEN, ADMISSION)
    thief = Enrolling(INSTANCE, EPOCH, TOKEN, "server-1", X25519PrivateKey.generate())
    thief.request = guest.request
    with pytest.raises(EnrolmentError, match="not_authentic"):
        thief.open(answer)


def test_share_of_low_order() -> None:
    """A share that would make the secret known to everybody is refused."""
    request = read_request(enrolling().request)
    weak = type(request)(request.instance_id, request.key_epoch, bytes(32), request.server_id, request.raw)
    with pytest.raises(EnrolmentError, match="malformed"):
        answer_request(weak, TOKEN, ADMISSION)


@pytest.mark.parametrize(
    "data",
    [None, "x", b"", enrolling().request[:-1], enrolling().request + b"x", bytes(REQUEST_BYTES_MAX + 1)],
    ids=["nothing", "text", "empty", "short", "long", "far too long"],
)
def test_not_a_request(data: object) -> None:
    """Other types and lengths are malformed."""
    with pytest.raises(EnrolmentError, match="malformed"):
        read_request(data)


def test_longest_server_id() -> None:
    """A server id of 255 bytes fits, a longer one is refused at the guest."""
    request = read_request(Enrolling(UUID(int=1), 1, TOKEN, "s" * 255).request)
    assert request.server_id == "s" * 255
    with pytest.raises(ValueError, match="255"):
        Enrolling(UUID(int=1), 1, TOKEN, "ü" * 128)


def test_shows_no_secret() -> None:
    """An admission prints neither key nor password."""
    shown = repr(ADMISSION)
    assert "***" in shown
    assert "gateway password" not in shown
    assert repr(ROOT.reveal()) not in shown
