"""`muniment status`: what runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

from cyclopts import Parameter

from muniment.cloud.recipes import Kind, Tag
from muniment.domain.resources import Role
from muniment_cli.failure import FAILED
from muniment_cli.installation import Installation, opened
from muniment_cli.output import Form, print_record, print_records
from muniment_cli.shown import everything
from muniment_projections.instances import Instances
from muniment_projections.operations import Operations
from muniment_projections.projector import Projector

__all__ = ["operating_status", "status"]

_COLUMNS = ("id", "name", "project", "status", "operating_status", "address", "agent")


def status(
    *,
    data: Annotated[Path | None, Parameter(help="Data directory.")] = None,
    output: Annotated[Form, Parameter(alias="-o", help="How to print the result.")] = "table",
) -> int:
    """Say what runs: the control plane, the instances of all projects with their agents, the operations under way.

    Exit code 1 when the control plane does not run.

    Example: `muniment status -o json`
    """
    with opened(data) as installation:
        holder = installation.data.holder()
        if holder is None:
            Projector(installation.ledger.log, installation.read_model).catch_up()
        plane = _plane(installation, holder)
        instances = [
            _row(installation, one, is_up=holder is not None)
            for one in everything(Instances(installation.read_model))
        ]
    if output == "table":
        print_record(plane, output)
        if instances:
            print()
            print_records(instances, output, _COLUMNS)
    else:
        print_record({**plane, "instances": instances}, output)
    return 0 if holder is not None else FAILED


def _plane(installation: Installation, holder: int | None) -> dict[str, object]:
    with installation.ledger.reading() as reader:
        head, queued = reader.head(), len(reader.queue())
    running = list(everything(Operations(installation.read_model), has_ended="no"))
    return {
        "control_plane": f"runs (process {holder})"
        if holder is not None
        else "does not run; start it with muniment up",
        "api": installation.settings.listen.api,
        "data": str(installation.data.root),
        "log_position": head,
        "read_models": installation.read_model.position(),
        "operations": max(queued, len(running)),
    }


def _row(installation: Installation, instance: Mapping[str, Any], *, is_up: bool) -> dict[str, object]:
    endpoint = next(iter(instance.get("endpoints") or []), None)
    return {
        "id": instance["id"],
        "name": instance["name"],
        "project": instance["tenant_id"],
        "status": instance["status"],
        "operating_status": operating_status(instance["operating_status"], is_up=is_up),
        "address": None if endpoint is None else f"{endpoint['host']}:{endpoint['port']}",
        "agent": _agent(installation, instance["id"]),
    }


def operating_status(recorded: str, *, is_up: bool) -> str | None:
    """How the database is. Agents tell the control plane; while that is down nobody knows."""
    if is_up or not recorded:
        return recorded or None
    return f"unknown (control plane is down), last known {recorded}"


def _agent(installation: Installation, instance_id: str) -> str:
    """The agent's process, looked at now and not in any record."""
    cloud = installation.cloud
    tag = Tag(UUID(instance_id), Role.SERVER)
    for server in cloud.find(Kind.SERVER, tag):
        record = cloud.servers.shelf.get(server.id)
        pid = None if record is None else cloud.servers.agent_pid(record)
        return "does not run" if pid is None else f"process {pid}"
    return "none"
