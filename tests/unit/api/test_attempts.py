"""Failed passwords: who has to wait, and who does not."""

import pytest

from muniment.clock import ManualClock
from muniment.domain.refused import Refused
from muniment_api.auth.attempts import FailedPasswords


def _fail(failed: FailedPasswords, times: int, user: str = "alice", address: str = "192.0.2.1") -> None:
    for _ in range(times):
        failed.check(user, address)
        failed.record(user, address)


def test_eleventh_failure_waits_for_the_minute_to_pass() -> None:
    """After ten failures the next try is refused with the time to wait, and heard after it."""
    clock = ManualClock()
    failed = FailedPasswords(clock)
    _fail(failed, 5)
    clock.advance(30)
    _fail(failed, 5)
    with pytest.raises(Refused) as refused:
        failed.check("alice", "192.0.2.1")
    assert refused.value.status == 429
    assert refused.value.details == {"retry_after_s": 30}
    clock.advance(30)
    failed.check("alice", "192.0.2.1")


def test_old_failures_do_not_hide_new_ones() -> None:
    """Ten failures within a minute count, whatever happened before them."""
    clock = ManualClock()
    failed = FailedPasswords(clock)
    _fail(failed, 5)
    clock.advance(61)
    _fail(failed, 10)
    with pytest.raises(Refused) as refused:
        failed.check("alice", "192.0.2.1")
    assert refused.value.details == {"retry_after_s": 60}


def test_other_user_and_other_address_are_heard() -> None:
    """Guessing at one user from one address bars neither others there nor that user elsewhere."""
    failed = FailedPasswords(ManualClock())
    _fail(failed, 10)
    failed.check("bob", "192.0.2.1")
    failed.check("alice", "192.0.2.2")


def test_one_password_on_many_names_is_bounded_by_address() -> None:
    """Sixty failures from one address silence it, whatever the names."""
    failed = FailedPasswords(ManualClock())
    for number in range(60):
        _fail(failed, 1, user=f"user {number}")
    with pytest.raises(Refused):
        failed.check("somebody new", "192.0.2.1")


def test_addresses_of_one_ipv6_network_count_as_one() -> None:
    """A host that has a whole /64 gains nothing from changing its address."""
    failed = FailedPasswords(ManualClock())
    for number in range(10):
        _fail(failed, 1, address=f"2001:db8::{number:x}")
    with pytest.raises(Refused):
        failed.check("alice", "2001:db8::ffff")
    failed.check("alice", "2001:db8:0:1::1")


def test_memory_is_bounded() -> None:
    """However many pairs fail, no more than the bound are kept."""
    failed = FailedPasswords(ManualClock(), tracked_max=10)
    for number in range(200):
        failed.record(f"user {number}", f"192.0.2.{number}")
    assert len(failed._failures) <= 10
