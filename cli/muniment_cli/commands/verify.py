"""`muniment verify`: proof that the log is what was written."""

import sys
from typing import Annotated

from cyclopts import Parameter
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from muniment.store.verify import verify_log
from muniment_cli.data_option import Data
from muniment_cli.failure import FAILED
from muniment_cli.installation import opened
from muniment_cli.output import Form, console, print_record

__all__ = ["verify"]


def verify(
    *,
    data: Data = None,
    output: Annotated[Form, Parameter(alias="-o", help="How to print the result.")] = "table",
) -> int:
    """Check every event against the digest chain of its stream; needs no key, and runs beside `muniment up`.

    Edits, removals and swaps inside of a stream are found, and the first bad log position is named (exit code 1).
    A stream whose end was cut off, or that was removed whole, cannot be told yet.

    Example: `muniment verify -o json`
    """
    with opened(data) as installation, _progress() as progress:
        task = progress.add_task("verifying", total=None)
        verdict = verify_log(
            installation.recorder,
            progress=lambda position, head: progress.update(task, completed=position, total=head),
        )
    broken = verdict.broken
    found: dict[str, object] = {"verified": broken is None, "events": verdict.events, "head": verdict.head}
    if broken is not None:
        found |= {
            "log_position": broken.position,
            "stream": str(broken.stream_id),
            "version": broken.version,
            "reason": broken.reason,
        }
    found["not_provable_yet"] = "streams cut at their end or removed whole"
    print_record(found, output)
    if broken is not None:
        advice = "put back a copy of ledger.db from before, and find out who could write to it; nothing repairs an altered log"
        print(f"muniment: {advice}", file=sys.stderr)
    return 0 if broken is None else FAILED


def _progress() -> Progress:
    """A bar on standard error, shown on a terminal only and gone when done."""
    place = console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=place,
        transient=True,
        disable=not place.is_terminal,
    )
