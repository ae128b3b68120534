"""`muniment rebuild`: the read models made anew from the log, and proven equal to what was shown."""

import time
from typing import Annotated

from cyclopts import Parameter
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from muniment_cli.data_option import Data
from muniment_cli.failure import FAILED, BadInput, Failure
from muniment_cli.installation import Installation, opened
from muniment_cli.output import Form, console, print_record
from muniment_projections.projector import Overtaken, Projector, TellsAnotherLog
from muniment_projections.read_model import ReadModelMissing
from muniment_projections.rebuild import RebuildProgress, Rebuilt
from muniment_projections.rebuild import rebuild as run_rebuild

__all__ = ["rebuild"]

_LINE_S = 5.0


def rebuild(
    *,
    data: Data = None,
    output: Annotated[Form, Parameter(alias="-o", help="How to print the result.")] = "table",
) -> int:
    """Fold the whole log into new read models beside the live ones, compare both row by row, and switch.

    Runs beside `muniment up`, which goes on answering. Exit code 1 when the old ones were not what the log says; they
    are replaced in any case. Where there were none that this release can read, there is nothing to compare, and `equal`
    is empty.

    Example: `muniment rebuild`
    """
    began_s = time.monotonic()
    with opened(data) as installation, installation.data.rebuilding():
        had_none = _begin(installation)
        try:
            rebuilt = _run(installation)
        except (Overtaken, ReadModelMissing) as error:
            raise Failure(
                f"the read models changed under the rebuild: {error}; run `muniment rebuild` again"
            ) from error
    proof = rebuilt.proof
    print_record(
        {
            "equal": None if had_none else rebuilt.is_equal,
            "rows": proof.rows,
            "differing": proof.differing,
            "differences": [str(difference) for difference in proof.differences],
            "events_lacking": rebuilt.lacking,
            "log_position": rebuilt.position,
            "digest": proof.digest,
            "generation": rebuilt.generation,
            "duration_s": round(time.monotonic() - began_s, 3),
        },
        output,
    )
    return 0 if rebuilt.is_equal else FAILED


def _begin(installation: Installation) -> bool:
    """Open what there is to compare with, up to date where nobody keeps it so; True if there was nothing to compare."""
    try:
        _ = installation.read_model
    except TellsAnotherLog:
        installation.keep_read_model()  # as it is: what differs is what is to be found
    except (BadInput, ReadModelMissing):
        if installation.data.holder() is not None:
            raise
        Projector(installation.ledger.log, installation.keep_read_model()).catch_up()
        return True
    return False


def _run(installation: Installation) -> Rebuilt:
    log, read_model = installation.ledger.log, installation.read_model
    place = console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=place, transient=True, disable=not place.is_terminal) as progress:
        task = progress.add_task("folding", total=None)
        said_s = time.monotonic()

        def report(step: RebuildProgress) -> None:
            nonlocal said_s
            what = f"{step.stage} {step.table}".strip()
            progress.update(task, description=what, completed=step.position, total=step.end)
            if not place.is_terminal and time.monotonic() - said_s > _LINE_S:
                said_s = time.monotonic()
                place.print(f"{what}: {step.position} of {step.end}")

        return run_rebuild(log, read_model, report)
