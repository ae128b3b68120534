"""`muniment status`: what runs."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from cyclopts import Parameter

from muniment.cloud.recipes import Kind, Tag
from muniment.domain.resources import Role
from muniment_cli.data_option import Data
from muniment_cli.failure import FAILED
from muniment_cli.installation import Installation, opened
from muniment_cli.output import Form, print_record, print_records
from muniment_cli.shown import everything
from muniment_projections.instances import Instances
from muniment_projections.operations import Operations

__all__ = ["agent_words", "operating_words", "plane_words", "status"]

_COLUMNS = ("id", "name", "project", "status", "operating_status", "address", "agent")


def status(
    *,
    data: Data = None,
    output: Annotated[Form, Parameter(alias="-o", help="How to print the result.")] = "table",
) -> int:
    """Say what runs: the control plane, the instances of all projects with their agents, the operations under way.

    Exit code 1 when the control plane does not run.

    Example: `muniment status -o json`
    """
    with opened(data) as installation:
        plane = _plane(installation)
        instances = [_row(installation, one) for one in everything(Instances(installation.read_model))]
    is_up = plane["is_running"] is True
    if output == "table":
        _print_for_people(plane, instances)
    else:
        print_record({**plane, "instances": instances}, output)
    return 0 if is_up else FAILED


def plane_words(pid: int | None) -> str:
    """Whether the control plane runs, for people."""
    return "does not run; start it with muniment up" if pid is None else f"runs (process {pid})"


def operating_words(recorded: str | None, *, is_up: bool) -> str | None:
    """How a database is, for people. Agents tell the control plane; while that is down nobody knows."""
    if is_up or not recorded:
        return recorded or None
    return f"unknown (control plane is down), last known {recorded}"


def agent_words(agent: Mapping[str, Any]) -> str:
    """Whether an agent runs, for people."""
    if not agent["is_there"]:
        return "none"
    return "does not run" if agent["pid"] is None else f"process {agent['pid']}"


def _print_for_people(plane: dict[str, Any], instances: list[dict[str, Any]]) -> None:
    is_up, pid = plane.pop("is_running"), plane.pop("pid")
    print_record({"control_plane": plane_words(pid), **plane}, "table")
    if not instances:
        return
    rows = [
        {
            **row,
            "operating_status": operating_words(row["operating_status"], is_up=is_up),
            "agent": agent_words(row["agent"]),
        }
        for row in instances
    ]
    print()
    print_records(rows, "table", _COLUMNS)


def _plane(installation: Installation) -> dict[str, Any]:
    pid = installation.data.holder()
    with installation.ledger.reading() as reader:
        head, queued = reader.head(), len(reader.queue())
    running = list(everything(Operations(installation.read_model), has_ended="no"))
    return {
        "is_running": pid is not None,
        "pid": pid,
        "api": installation.settings.listen.api,
        "data": str(installation.data.root),
        "log_position": head,
        "read_models": installation.read_model.position(),
        "operations": max(queued, len(running)),
    }


def _row(installation: Installation, instance: Mapping[str, Any]) -> dict[str, Any]:
    endpoint = next(iter(instance.get("endpoints") or []), None)
    return {
        "id": instance["id"],
        "name": instance["name"],
        "project": instance["tenant_id"],
        "status": instance["status"],
        "operating_status": instance["operating_status"] or None,
        "address": None if endpoint is None else f"{endpoint['host']}:{endpoint['port']}",
        "agent": _agent(installation, instance["id"]),
    }


def _agent(installation: Installation, instance_id: str) -> dict[str, Any]:
    """The agent's process, looked at now and not in any record; `pid` is None when it does not run."""
    cloud = installation.cloud
    tag = Tag(UUID(instance_id), Role.SERVER)
    for server in cloud.find(Kind.SERVER, tag):
        record = cloud.servers.shelf.get(server.id)
        return {"is_there": True, "pid": None if record is None else cloud.servers.agent_pid(record)}
    return {"is_there": False, "pid": None}
