"""Password hashes: what they accept, and the parameters they carry."""

import msgspec
import pytest
from tests.support.accounts import CHEAP

from muniment.secret import Secret
from muniment_api.auth.passwords import COST, PasswordHash, generated_password, hash_password


def test_only_the_password_matches() -> None:
    """A hash matches the password it was made of and no other."""
    stored = hash_password(Secret("correct horse"), cost=CHEAP)
    assert stored.matches(Secret("correct horse"))
    assert not stored.matches(Secret("correct horse "))
    assert not stored.matches(Secret(""))


def test_two_hashes_of_one_password_differ() -> None:
    """Each hash has a salt of its own, so equal passwords do not show."""
    one, other = (hash_password(Secret("same"), cost=CHEAP) for _ in range(2))
    assert one.salt != other.salt
    assert one.digest != other.digest


def test_hash_survives_the_file() -> None:
    """A hash read back from JSON still matches: its parameters stand beside it."""
    stored = hash_password(Secret("päss"), cost=CHEAP)
    again = msgspec.json.decode(msgspec.json.encode(stored), type=PasswordHash)
    assert again == stored
    assert again.matches(Secret("päss"))


@pytest.mark.parametrize(("n", "r"), [(3, 8), (2**17, 8), (2**20, 1)])
def test_parameters_that_would_hurt_are_refused(n: int, r: int) -> None:
    """A file cannot make a log-in take more than 64 MiB, nor ask scrypt for what it cannot do."""
    with pytest.raises(ValueError, match=r"power of two|64 MiB"):
        PasswordHash(scheme="scrypt", n=n, r=r, p=1, salt=b"s" * 16, digest=b"d" * 32)


def test_default_cost_is_at_least_what_is_advised_for_logins() -> None:
    """The product of the parameters is that of scrypt with n = 2^17, r = 8, p = 1, up to the memory they trade."""
    assert (COST.n, COST.r) == (2**14, 8)
    assert COST.p >= 5


def test_generated_passwords_are_long_and_plain() -> None:
    """A generated password needs no quotes anywhere and is never the same twice."""
    passwords = {generated_password().reveal_text() for _ in range(50)}
    assert len(passwords) == 50
    assert all(p.isalnum() and len(p) >= 24 for p in passwords)
