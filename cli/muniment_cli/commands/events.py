"""`muniment events`: what happened, from the log."""

import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from cyclopts import Parameter, validators
from rich.text import Text

from muniment_cli.data_option import Data
from muniment_cli.failure import BadInput
from muniment_cli.installation import Installation, opened
from muniment_cli.output import console
from muniment_cli.shown import everything
from muniment_projections.instances import Instances
from muniment_projections.timeline import EVENTS_MAX, Timeline

__all__ = ["events"]

_LOOK_S = 0.2


def events(
    *,
    instance: Annotated[
        str | None, Parameter(help="Only this instance, by name or id, its operations and its backups.")
    ] = None,
    project: Annotated[str | None, Parameter(help="Only this project, by id.")] = None,
    after: Annotated[int, Parameter(help="Start behind this log position.")] = 0,
    as_of: Annotated[int | None, Parameter(help="Stop at this log position.")] = None,
    tail: Annotated[
        int | None, Parameter(help="Begin with the last so many.", validator=validators.Number(gte=0))
    ] = None,
    follow: Annotated[bool, Parameter(alias="-f", negative="", help="Go on with what happens now.")] = False,
    data: Data = None,
    output: Annotated[
        Literal["table", "json"], Parameter(alias="-o", help="A line for people, or a CloudEvent a line.")
    ] = "table",
) -> None:
    """Show events in the order of the log, names and all, for the operator of this machine.

    Works whether `muniment up` runs or not.

    Example: `muniment events --instance demo --tail 20 --follow`
    """
    with opened(data) as installation:
        history = _History(
            Timeline(installation.read_model),
            None if instance is None else _instance_id(installation, instance),
            project,
            after,
            as_of,
        )
        for document in history.now() if tail is None else deque(history.now(), maxlen=tail):
            _print(document, output)
        while follow:
            sys.stdout.flush()
            time.sleep(_LOOK_S)
            for document in history.now():
                _print(document, output)


class _History:
    """What was asked for of the timeline, and how far it has been read."""

    def __init__(
        self,
        timeline: Timeline,
        instance_id: UUID | None,
        project_id: str | None,
        after: int,
        as_of: int | None,
    ) -> None:
        self._timeline = timeline
        self._instance_id = instance_id
        self._project_id = project_id
        self._after = after
        self._as_of = as_of

    def now(self) -> Iterator[bytes]:
        """Everything that is there and was not read yet."""
        while True:
            page = self._timeline.page(
                project_id=self._project_id,
                after=self._after,
                instance_id=self._instance_id,
                as_of=self._as_of,
                limit=EVENTS_MAX,
                is_admin=True,
            )
            if not page.documents:
                return
            self._after = page.cursor
            yield from page.documents


def _instance_id(installation: Installation, named: str) -> UUID:
    """The id, or the one instance of that name in the read models."""
    try:
        return UUID(named)
    except ValueError:
        found = [one["id"] for one in everything(Instances(installation.read_model)) if one["name"] == named]
    if not found:
        raise BadInput(f"there is no instance named {named}; one that was deleted is found by its id")
    if len(found) > 1:
        raise BadInput(f"{len(found)} instances are named {named}; take an id: {', '.join(found)}")
    return UUID(found[0])


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
    return " ".join(" ".join(told).splitlines())
