"""A role's loop: woken, stopped, and not ended by a fault."""

import threading
from uuid import UUID

import pytest
import structlog

from muniment.store.chain import BrokenChain, StoredRow
from muniment.store.wakeup import Wakeup
from muniment_cli.roles import loop as loop_module
from muniment_cli.roles.loop import Loop

_LIMIT_S = 10.0


def test_a_commit_wakes_it() -> None:
    """A step that asked to be left alone for long is called again when something was committed."""
    wakeup, called = Wakeup(), threading.Semaphore(0)

    def step() -> float:
        called.release()
        return 1000.0

    loop = Loop("test", wakeup, step)
    loop.start()
    assert called.acquire(timeout=_LIMIT_S)
    wakeup.notify()
    assert called.acquire(timeout=_LIMIT_S)
    loop.stop()
    assert loop.join()


def test_a_fault_does_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that raised is called again; meanwhile the loop says why it fails, and nothing once it works."""
    monkeypatch.setattr(loop_module, "_BACK_OFF_S", 0.0)
    failed, worked, go_on = threading.Event(), threading.Event(), threading.Event()
    tries = 0

    def step() -> float:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise ValueError("the disk is full")
        failed.set()
        go_on.wait(_LIMIT_S)
        if tries == 3:
            worked.set()
        return 1000.0 if tries == 3 else 0.0

    loop = Loop("test", Wakeup(), step)
    loop.start()
    assert failed.wait(_LIMIT_S)
    assert loop.failure == "the disk is full"
    go_on.set()
    assert worked.wait(_LIMIT_S)
    assert loop.failure == ""
    loop.stop()
    assert loop.join()
    assert not loop.is_running


def test_a_broken_history_is_told_in_one_line() -> None:
    """It is no bug of the role: a line without a traceback says where it is broken and what to run."""
    failed = threading.Event()
    loop = Loop("test", Wakeup(), lambda: _broken(failed))
    with structlog.testing.capture_logs() as records:
        loop.start()
        assert failed.wait(_LIMIT_S)
        loop.stop()
        assert loop.join()
    assert loop.failure == "the history is broken at position 7; run muniment verify"
    assert {record["event"] for record in records} == {loop.failure}
    assert all("exc_info" not in record for record in records)


def _broken(failed: threading.Event) -> float:
    failed.set()
    raise BrokenChain(StoredRow(7, UUID(int=1), 2, "t", b"", b"", b""), "was altered")


def test_a_loop_of_the_clock_is_not_woken_but_stopped() -> None:
    """A loop that follows the clock sleeps through commits, and ends at once when told to."""
    wakeup, called = Wakeup(), threading.Semaphore(0)

    def step() -> float:
        called.release()
        return 1000.0

    loop = Loop("test", wakeup, step, is_woken=False)
    loop.start()
    assert called.acquire(timeout=_LIMIT_S)
    for _ in range(10):
        wakeup.notify()
    loop.stop()
    assert loop.join()
    assert not called.acquire(blocking=False)
