"""Laws of enrolment: nothing but an untouched request is proven, nothing but an untouched answer opens."""

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.bus_kit import EPOCH, INSTANCE, NOW_MS, ROOT

from muniment.bus import enrolment
from muniment.bus.enrolment import (
    Admission,
    Enrolling,
    EnrolmentError,
    answer_request,
    check_proof,
    read_request,
)
from muniment.secret import Secret

TOKEN = Secret(b"t" * 32)
GUEST = Enrolling(INSTANCE, EPOCH, TOKEN, "server-1")
ADMISSION = Admission(root_key=ROOT, bearer=Secret("b"), server_time_ms=NOW_MS, incarnation=1)
ANSWER = answer_request(read_request(GUEST.request), TOKEN, ADMISSION)


def is_proven(data: object) -> bool:
    """Whether the control plane would burn the token for this."""
    try:
        check_proof(read_request(data), TOKEN)
    except EnrolmentError:
        return False
    return True


def is_answer(data: object) -> bool:
    """Whether the guest would believe this."""
    try:
        GUEST.open(data)
    except EnrolmentError:
        return False
    return True


def flips(data: bytes) -> list[bytes]:
    """Every message that differs in one bit."""
    return [
        data[:i] + bytes((data[i] ^ 1 << bit,)) + data[i + 1 :] for i in range(len(data)) for bit in range(8)
    ]


def test_untouched() -> None:
    """The real ones are taken."""
    assert is_proven(GUEST.request)
    assert is_answer(ANSWER)


def test_every_bit_of_a_request() -> None:
    """No bit of a request can be changed."""
    assert not any(is_proven(altered) for altered in flips(GUEST.request))


def test_every_bit_of_an_answer() -> None:
    """No bit of an answer can be changed."""
    assert not any(is_answer(altered) for altered in flips(ANSWER))


@settings(deadline=None)
@given(st.one_of(st.none(), st.text(), st.integers(), st.binary(max_size=400)), st.integers(0, 200))
def test_anything(data: object, keep: int) -> None:
    """Whatever arrives, alone or behind a real beginning, only the enrolment's error comes out."""
    assert not is_proven(data)
    assert not is_answer(data)
    tail = data if isinstance(data, bytes) else b""
    assert GUEST.request[:keep] + tail == GUEST.request or not is_proven(GUEST.request[:keep] + tail)
    assert ANSWER[:keep] + tail == ANSWER or not is_answer(ANSWER[:keep] + tail)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_body_from_a_holder_of_the_token(body: bytes) -> None:
    """Even sealed rightly, a body that is no admission ends in the enrolment's error."""
    answer = _sealed_body(body)
    with pytest.raises(EnrolmentError):
        GUEST.open(answer)


def _sealed_body(body: bytes) -> bytes:
    """An answer whose sealed body is these bytes."""
    own = X25519PrivateKey.generate()
    share = own.public_key().public_bytes_raw()
    head = enrolment._HEAD.pack(b"ME", 1, 2, EPOCH, INSTANCE.bytes, share)
    request = read_request(GUEST.request)
    key = enrolment._answer_key(own, request.public_key, TOKEN, request.raw, head)
    return head + key.encrypt(bytes(12), body, head)
