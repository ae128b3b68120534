"""Tokens: they end in time, on demand and by number, and their values are kept nowhere."""

from muniment.clock import ManualClock
from muniment.secret import Secret
from muniment_api.auth.tokens import Token, Tokens


def _issue(tokens: Tokens, user: str = "u") -> tuple[Secret, Token]:
    return tokens.issue(user, "p", stamp=b"s", methods=("password",))


def test_token_lasts_an_hour() -> None:
    """A token is valid for an hour and not a moment longer."""
    clock = ManualClock()
    tokens = Tokens(clock)
    value, token = _issue(tokens)
    clock.advance(3599)
    assert tokens.find(value) == token
    clock.advance(1)
    assert tokens.find(value) is None
    assert len(tokens) == 0


def test_revoked_token_is_gone() -> None:
    """A revoked token is unknown, and revoking it again says so."""
    tokens = Tokens(ManualClock())
    value, _ = _issue(tokens)
    assert tokens.revoke(value)
    assert tokens.find(value) is None
    assert not tokens.revoke(value)


def test_values_are_long_different_and_not_kept() -> None:
    """A value has 256 random bits, and the memory of the tokens does not hold it."""
    tokens = Tokens(ManualClock())
    values = {_issue(tokens)[0].reveal_text() for _ in range(20)}
    assert len(values) == 20
    assert all(len(value) >= 43 for value in values)
    assert not any(value in repr(vars(tokens)) for value in values)


def test_oldest_of_a_user_goes_first() -> None:
    """Beyond the bound of one user its oldest token ends; other users keep theirs."""
    tokens = Tokens(ManualClock(), per_user_max=2)
    other, _ = _issue(tokens, "other")
    first, second, third = (_issue(tokens)[0] for _ in range(3))
    assert tokens.find(first) is None
    assert tokens.find(second) is not None
    assert tokens.find(third) is not None
    assert tokens.find(other) is not None


def test_total_is_bounded() -> None:
    """However many users log in, the number of tokens stays within its bound."""
    tokens = Tokens(ManualClock(), total_max=5)
    for number in range(20):
        _issue(tokens, f"user {number}")
    assert len(tokens) == 5


def test_expired_tokens_make_room() -> None:
    """Expired tokens are swept when a new one is issued."""
    clock = ManualClock()
    tokens = Tokens(clock)
    for _ in range(3):
        _issue(tokens)
    clock.advance(3600)
    _issue(tokens)
    assert len(tokens) == 1
