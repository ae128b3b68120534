"""`muniment events`: what happened, from the log."""

import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from cyclopts import Parameter
from rich.text import Text

from muniment_cli.installation import Installation, opened
from muniment_cli.output import console
from muniment_projections.projector import Projector
from muniment_projections.timeline import EVENTS_MAX, Timeline

__all__ = ["events"]

_LOOK_S = 0.2


def events(
    *,
    instance: Annotated[
        UUID | None, Parameter(help="Only this instance, its operations and its backups.")
    ] = None,
    project: Annotated[str | None, Parameter(help="Only this project, by id.")] = None,
    after: Annotated[int, Parameter(help="Start behind this log position.")] = 0,
    as_of: Annotated[int | None, Parameter(help="Stop at this log position.")] = None,
    follow: Annotated[bool, Parameter(alias="-f", negative="", help="Go on with what happens now.")] = False,
    data: Annotated[Path | None, Parameter(help="Data directory.")] = None,
    output: Annotated[
        Literal["table", "json"], Parameter(alias="-o", help="A line for people, or a CloudEvent a line.")
    ] = "table",
) -> None:
    """Show events in the order of the log, names and all, for the operator of this machine.

    Works whether `muniment up` runs or not.

    Example: `muniment events --instance 5f0c… --follow`
    """
    with opened(data) as installation:
        if installation.data.holder() is None:
            Projector(installation.ledger.log, installation.read_model).catch_up()
        for document in _documents(installation, instance, project, after, as_of, follow=follow):
            _print(document, output)


def _documents(
    installation: Installation,
    instance: UUID | None,
    project: str | None,
    after: int,
    as_of: int | None,
    *,
    follow: bool,
) -> Iterator[bytes]:
    timeline = Timeline(installation.read_model)
    while True:
        page = timeline.page(
            project_id=project,
            after=after,
            instance_id=instance,
            as_of=as_of,
            limit=EVENTS_MAX,
            is_admin=True,
        )
        yield from page.documents
        after = page.cursor
        if page.documents:
            continue
        if not follow:
            return
        sys.stdout.flush()
        time.sleep(_LOOK_S)


def _print(document: bytes, output: str) -> None:
    if output == "json":
        sys.stdout.write(document.decode() + "\n")
        return
    event = msgspec.json.decode(document)
    line = Text()
    line.append(f"{event['logposition']:>7}  ", style="dim")
    line.append(f"{event['time'][:23]:<23}  ", style="dim")
    line.append(f"{event['type']:<34}  ", style="bold")
    line.append(f"{event['instanceid'] or event['source']}  ")
    line.append(_summary(event["data"]))
    console().print(line)


def _summary(data: Mapping[str, object]) -> str:
    """The event's own fields on one line; what is nested deeper is shown by `-o json`."""
    told = (
        f"{key}={value}"
        for key, value in data.items()
        if isinstance(value, str | int | float) and value != ""
    )
    return " ".join(told)
