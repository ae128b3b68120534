"""A wrapped secret opens under its key, in its place, unaltered, and not otherwise."""

import pytest

from muniment.fault import Fault
from muniment.secret import Secret
from muniment.secrets.keys import KeyEncryptionKeys
from muniment.secrets.vault import Vault

PLACE = ("root", "instance-1", 3)
VAULT = Vault(KeyEncryptionKeys.generate())


def test_a_wrapped_secret_opens() -> None:
    """What was wrapped is unwrapped, and its bytes do not show it."""
    wrapped = VAULT.wrap(*PLACE, Secret("s3cret-canary"))
    assert VAULT.unwrap(*PLACE, wrapped).reveal() == b"s3cret-canary"
    assert b"canary" not in wrapped


def test_wrapping_twice_gives_different_bytes() -> None:
    """Nobody sees that two rows hold the same secret."""
    assert VAULT.wrap(*PLACE, Secret("same")) != VAULT.wrap(*PLACE, Secret("same"))


@pytest.mark.parametrize(
    "elsewhere",
    [
        ("enrol", "instance-1", 3),
        ("root", "instance-2", 3),
        ("root", "instance-1", 4),
        ("rooti", "nstance-1", 3),
    ],
)
def test_a_moved_row_does_not_open(elsewhere: tuple[str, str, int]) -> None:
    """Another purpose, owner or epoch, or another split of the same text, is another place."""
    wrapped = VAULT.wrap(*PLACE, Secret("s3cret"))
    with pytest.raises(Fault, match="altered or moved"):
        VAULT.unwrap(*elsewhere, wrapped)


def test_no_flipped_bit_opens() -> None:
    """Every single altered bit is noticed."""
    wrapped = VAULT.wrap(*PLACE, Secret("s"))
    for bit in range(len(wrapped) * 8):
        flipped = bytearray(wrapped)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Fault):
            VAULT.unwrap(*PLACE, bytes(flipped))


def test_no_cut_opens() -> None:
    """Every shortened row is a fault, not an exception of the library."""
    wrapped = VAULT.wrap(*PLACE, Secret("s"))
    for length in range(len(wrapped)):
        with pytest.raises(Fault):
            VAULT.unwrap(*PLACE, wrapped[:length])


def test_an_older_key_still_opens() -> None:
    """After a rotation old rows open, and new ones are under the new key alone."""
    old, new = Secret(bytes(range(0, 64, 2))[::-1][1:] + b"\x07"), KeyEncryptionKeys.generate()
    before = Vault(KeyEncryptionKeys([old]))
    after = Vault(KeyEncryptionKeys([old, new.key(new.current_id)]))
    wrapped = before.wrap(*PLACE, Secret("s3cret"))
    assert after.unwrap(*PLACE, wrapped).reveal() == b"s3cret"
    with pytest.raises(Fault, match="not in the key file"):
        before.unwrap(*PLACE, after.wrap(*PLACE, Secret("s3cret")))


def test_a_foreign_key_is_named() -> None:
    """A row of another installation is a fault about the key, not about the row."""
    wrapped = Vault(KeyEncryptionKeys.generate()).wrap(*PLACE, Secret("s3cret"))
    with pytest.raises(Fault, match="not in the key file; put your copy back"):
        VAULT.unwrap(*PLACE, wrapped)
