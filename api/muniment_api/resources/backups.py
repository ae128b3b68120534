"""Backups: of the project, and of one instance."""

import re
from typing import Annotated, Final
from uuid import uuid4

import msgspec
from starlette.responses import Response

from muniment.domain.backup import BackupStatus, check_deletable
from muniment.domain.backup_request import CreateBackup, create_backup
from muniment.domain.refused import Refused
from muniment.store.reader import Reader
from muniment_api.bodies import Bit, Name, Uuid
from muniment_api.call import Call
from muniment_api.commands import Decided
from muniment_api.paging import listing, page_of
from muniment_api.reads import as_id, document_of, recorded_document, view_for
from muniment_api.resources.datastores import datastore_named
from muniment_api.responses import JsonResponse, accepted
from muniment_api.route import Route
from muniment_api.starting import about_owner, backup_begins, backup_deletion_begins
from muniment_api.subjects import backup_of, find_backup, find_instance, instance_of
from muniment_projections.backups import BackupProjection

__all__ = ["ROUTES"]

_PROJECTION: Final = BackupProjection()

_CONTAINER = re.compile(r"[\w@%+=:,./-]+", re.ASCII)
_YES = ("true", "1", "yes")


class RestoreFrom(msgspec.Struct, frozen=True):
    """Objects that lie somewhere else already."""

    remote_location: Name


class BackupBody(msgspec.Struct, frozen=True):
    """The backup that is wanted."""

    name: Name
    instance: Uuid | None = None
    description: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)] | None = None
    incremental: Bit = False
    parent_id: Uuid | None = None
    swift_container: Name | None = None
    restore_from: RestoreFrom | None = None


class BackupCreation(msgspec.Struct, frozen=True):
    """The request."""

    backup: BackupBody


def index(call: Call) -> Response:
    """The project's backups, newest first; narrowed by `datastore` and `instance_id`; all projects' for administrators."""
    project_id: str | None = call.caller.project_id
    everywhere = call.query.get("all_projects", "").lower() in _YES
    if everywhere or call.query.get("project_id") not in (None, project_id):
        call.require("backup:index:all_projects")
        project_id = None if everywhere else call.query["project_id"]
    facets: dict[str, str] = {}
    if (datastore := call.query.get("datastore")) is not None:
        facets["datastore"] = datastore_named(call, datastore).name
    if (instance_id := call.query.get("instance_id")) is not None:
        facets["instance_id"] = str(as_id(instance_id) or instance_id)
    return _page(call, project_id, facets)


def of_instance(call: Call) -> Response:
    """The backups of one instance."""
    instance = instance_of(call)
    return _page(call, instance.project_id, {"instance_id": str(instance.id)})


def show(call: Call) -> Response:
    """One backup."""
    project_id = None if call.caller.is_admin else call.caller.project_id
    document = document_of(
        call,
        call.services.backups,
        "backup",
        call.path("backup_id"),
        project_id=project_id,
        view=view_for(call),
    )
    return JsonResponse({"backup": call.filled(document)})


def create(call: Call) -> Response:
    """Begin a backup of an instance."""
    body = call.body(BackupCreation).backup
    if body.restore_from is not None:
        raise Refused("no-remote-backups", "backups of other stores cannot be registered here", status=422)
    if body.instance is None:
        raise Refused("bad-request", "Name the instance: `instance`.", status=400)
    if body.swift_container is not None and not _CONTAINER.fullmatch(body.swift_container):
        raise Refused("bad-container", "swift_container may hold letters, digits and _@%+=:,./-", status=400)
    command = CreateBackup(
        name=body.name,
        description=body.description,
        is_incremental=body.incremental or body.parent_id is not None,
    )
    backup_id, instance_id = uuid4(), body.instance
    with call.services.ledger.reading() as reader:
        owner = find_instance(call, reader, instance_id).project_id

    def decide(reader: Reader) -> Decided:
        instance = find_instance(call, reader, instance_id)
        requested = create_backup(command, instance, backup_id=backup_id, drivers=call.services.drivers)
        return backup_begins(call, reader, instance, requested)

    saved = call.services.commands.commit(about_owner(call, owner), decide)
    document = recorded_document(_PROJECTION, saved, backup_id, view_for(call))
    return JsonResponse({"backup": call.filled(document)}, 202)


def delete(call: Call) -> Response:
    """Delete a backup and its data; while it is written or read it is refused. A second request changes nothing."""
    found = backup_of(call)

    def decide(reader: Reader) -> Decided:
        backup = find_backup(call, reader, found.id)
        check_deletable(backup)
        if backup.status is BackupStatus.DELETING:
            return (), ()
        return backup_deletion_begins(call, backup)

    call.services.commands.commit(about_owner(call, found.project_id), decide)
    return accepted()


def _page(call: Call, project_id: str | None, facets: dict[str, str]) -> Response:
    page = page_of(call.query, size=call.settings.page_sizes.backups, size_max=1000)
    found = call.services.backups.page(
        project_id=project_id, view=view_for(call), limit=page.limit, marker=page.marker, facets=facets
    )
    return listing(call, "backups", call.filled_list(found.joined), found.next_marker)


ROUTES = (
    Route("GET", "/backups", "backup:index", index),
    Route("POST", "/backups", "backup:create", create),
    Route("GET", "/backups/{backup_id}", "backup:show", show),
    Route("DELETE", "/backups/{backup_id}", "backup:delete", delete),
    Route("GET", "/instances/{instance_id}/backups", "instance:backups", of_instance),
)
