"""Secrets sealed to one guest, for one command and one name."""

from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from muniment.bus.envelope import EnvelopeError
from muniment.bus.sealing import SECRET_BYTES_MAX, open_secret, seal_secret
from muniment.secret import Secret

GUEST = X25519PrivateKey.generate()
PUBLIC = GUEST.public_key().public_bytes_raw()
COMMAND = UUID(int=1)
SEALED = seal_secret(Secret("pass word"), PUBLIC, command_id=COMMAND, name="password")


def reason_of(
    sealed: object, *, key: X25519PrivateKey = GUEST, command_id: UUID = COMMAND, name: str = "password"
) -> str:
    """Why this did not open."""
    with pytest.raises(EnvelopeError) as caught:
        open_secret(sealed, key, command_id=command_id, name=name)
    return caught.value.reason


def test_opens() -> None:
    """The guest opens it in the command it was sealed for."""
    assert open_secret(SEALED, GUEST, command_id=COMMAND, name="password").reveal_text() == "pass word"


def test_sealed_anew() -> None:
    """Sealing twice gives different bytes."""
    again = seal_secret(Secret("pass word"), PUBLIC, command_id=COMMAND, name="password")
    assert again != SEALED


def test_other_context() -> None:
    """Moved to another command, name or guest, it does not open."""
    assert reason_of(SEALED, command_id=UUID(int=2)) == "not_authentic"
    assert reason_of(SEALED, name="data_key") == "not_authentic"
    assert reason_of(SEALED, key=X25519PrivateKey.generate()) == "not_authentic"


@pytest.mark.parametrize("bit", range(len(SEALED) * 8))
def test_every_bit(bit: int) -> None:
    """No bit of it can be changed."""
    flipped = bytearray(SEALED)
    flipped[bit // 8] ^= 1 << bit % 8
    assert reason_of(bytes(flipped)) in {"malformed", "not_authentic"}


@pytest.mark.parametrize("data", [None, "text", b"", b"\x01", b"\x01" + bytes(16), b"\x01" + bytes(70_000)])
def test_not_a_secret(data: object) -> None:
    """Whatever else arrives ends in the envelope's error."""
    assert reason_of(data) in {"malformed", "not_authentic"}


def test_limit() -> None:
    """A secret has a largest size."""
    with pytest.raises(ValueError, match="limit"):
        seal_secret(Secret(bytes(SECRET_BYTES_MAX + 1)), PUBLIC, command_id=COMMAND, name="x")
