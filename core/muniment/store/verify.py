"""Proof of the whole log, without any key: is every event what was appended, and where it was appended?

What it cannot see: a stream whose tail was cut or rewritten, or that was removed whole. Only signed checkpoints of the
log, kept elsewhere, can show those.
"""

from collections.abc import Callable
from typing import NamedTuple

from muniment.store.chain import BrokenChain, verify_link, verify_row
from muniment.store.events import head, scan_linked
from muniment.store.recorder import Recorder
from muniment.store.transaction import Transaction

__all__ = ["Verdict", "verify_log"]

_REPORT_EVERY = 1000


class Verdict(NamedTuple):
    """What a proof found: how many events hold, up to the log's head or to the first that does not."""

    events: int
    head: int
    broken: BrokenChain | None


def verify_log(recorder: Recorder, *, progress: Callable[[int, int], None] | None = None) -> Verdict:
    """Check every event of the log in order, a page in memory at a time.

    `progress(position, head)` is called now and then. Edits, removals and swaps inside of streams are found, and the
    verdict names the first bad log position.
    """
    with recorder.reading() as cursor:
        tx = Transaction(cursor, now_s=0)
        until, events = head(tx), 0
        for row, before in scan_linked(tx):
            try:
                verify_link(row, before)
                verify_row(row)
            except BrokenChain as broken:
                return Verdict(events, until, broken)
            events += 1
            if progress is not None and events % _REPORT_EVERY == 0:
                progress(row.position, until)
        return Verdict(events, until, None)
