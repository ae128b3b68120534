"""Instances: lists, one, create, change, delete, and actions."""

from typing import Annotated, Any, Final
from uuid import UUID, uuid4

import msgspec
from starlette.responses import Response

from muniment.contract.messages import VolumeFacts
from muniment.domain.instance import Instance, check_actionable, rename
from muniment.domain.instance_request import create_instance
from muniment.domain.refused import NotFound, Refused
from muniment.operations.restart_instance import RESTART_INSTANCE
from muniment.store.reader import Reader
from muniment_api.bodies import Bit, Cidr, FlavorRef, Name, SizeGiB
from muniment_api.call import Call
from muniment_api.commands import Decided
from muniment_api.paging import listing, page_of
from muniment_api.reads import document_of, recorded_document, view_for
from muniment_api.resources.instance_create import InstanceCreation, command_of, datastores_of, offer_of
from muniment_api.responses import JsonResponse, accepted
from muniment_api.route import Route
from muniment_api.starting import about_owner, creation_begins, growth_begins, start_on
from muniment_api.subjects import any_backup, find_instance, instance_of
from muniment_api.wanted import AT_ONCE
from muniment_projections.documents import VolumeUse
from muniment_projections.instances import InstanceProjection
from muniment_projections.row import View

__all__ = ["ROUTES"]

_PROJECTION: Final = InstanceProjection()


class AccessChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who may reach it from now on."""

    is_public: Bit | msgspec.UnsetType = msgspec.UNSET
    allowed_cidrs: Annotated[list[Cidr], msgspec.Meta(max_length=AT_ONCE)] | msgspec.UnsetType = msgspec.UNSET


class InstanceChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may change; at most one thing beside the name. What this release cannot do yet is refused by name."""

    name: Name | msgspec.UnsetType = msgspec.UNSET
    configuration: Name | msgspec.UnsetType | None = msgspec.UNSET
    replica_of: Any = msgspec.UNSET
    slave_of: Any = msgspec.UNSET
    datastore_version: Name | msgspec.UnsetType = msgspec.UNSET
    access: AccessChange | msgspec.UnsetType = msgspec.UNSET


class UpdateInstance(msgspec.Struct, frozen=True):
    """The request of PUT and PATCH, which are the same (D-24)."""

    instance: InstanceChange


class Reset(msgspec.Struct, frozen=True):
    """`reset_status`; an owner may ask for it in order to delete by force."""

    force_delete: bool = False


class VolumeSize(msgspec.Struct, frozen=True):
    """How large the volume is to be."""

    size: SizeGiB


class Resize(msgspec.Struct, frozen=True):
    """Another volume size or another flavor, one of both; openstacksdk sends the size alone (D-21)."""

    volume: VolumeSize | SizeGiB | msgspec.UnsetType = msgspec.UNSET
    flavor_ref: FlavorRef | msgspec.UnsetType = msgspec.field(name="flavorRef", default=msgspec.UNSET)


class Action(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One action; its arguments are its own. openstacksdk sends null where there are none (D-21)."""

    restart: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET
    reset_status: Reset | msgspec.UnsetType | None = msgspec.UNSET
    resize: Resize | msgspec.UnsetType = msgspec.UNSET
    promote_to_replica_source: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET
    eject_replica_source: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET


def index(call: Call) -> Response:
    """The project's instances, newest first, in short."""
    return _page(call, View.SUMMARY)


def detail(call: Call) -> Response:
    """The project's instances, newest first, in full."""
    return _page(call, View.DETAIL)


def show(call: Call) -> Response:
    """One instance; no guest is asked, volume figures are the last ones reported (D-17)."""
    project_id = None if call.caller.is_admin else call.caller.project_id
    key = call.path("instance_id")
    document = document_of(
        call, call.services.instances, "instance", key, project_id=project_id, view=view_for(call)
    )
    use = _volume_use(call.services.volume_facts(UUID(key)))
    return JsonResponse({"instance": msgspec.Raw(call.site.fill(document, use))})


def create(call: Call) -> Response:
    """Accept an instance: everything checked, counted and recorded; the rest is an operation."""
    command = command_of(call.body(InstanceCreation).instance)
    if command.databases:
        call.require("instance:extension:database:create")
    if command.users:
        call.require("instance:extension:user:create")
    instance_id, offer = uuid4(), offer_of(call)

    def decide(reader: Reader) -> Decided:
        backup = None if command.backup_id is None else any_backup(reader, command.backup_id)
        requested = create_instance(
            command,
            instance_id=instance_id,
            project_id=call.caller.project_id,
            offer=offer,
            datastores=datastores_of(call, reader),
            backup=backup,
        )
        return creation_begins(call, reader, requested, command.passwords, backup)

    saved = call.services.commands.commit(call.about, decide)
    document = recorded_document(_PROJECTION, saved, instance_id, view_for(call))
    return JsonResponse({"instance": msgspec.Raw(call.site.fill(document))})


def update(call: Call) -> Response:
    """Rename; other changes are refused by the name of what is missing."""
    change = call.body(UpdateInstance).instance
    instance = instance_of(call)
    others = [
        name
        for name in ("configuration", "replica_of", "slave_of", "datastore_version", "access")
        if getattr(change, name) is not msgspec.UNSET
    ]
    if len(others) > 1:
        raise Refused(
            "too-many-changes", f"change one thing at a time, not {' and '.join(others)}", status=400
        )
    if others:
        _refuse_change(change, others[0])
    if change.name is not msgspec.UNSET:
        name = change.name
        call.services.commands.commit(
            about_owner(call, instance.project_id),
            lambda reader: (rename(find_instance(call, reader, instance.id), name), []),
        )
    return accepted()


def delete(call: Call) -> Response:
    """Delete, in any state; a second request is accepted and changes nothing (D-27)."""
    instance = instance_of(call)
    taken_over = call.services.take_over.delete(instance.id, about_owner(call, instance.project_id))
    call.services.commands.told(taken_over.position)
    return accepted()


def act(call: Call) -> Response:
    """The actions: restart, resize (of the volume), reset_status; others are refused by the name of what is missing."""
    action = call.body(Action)
    named = [name for name in Action.__struct_fields__ if getattr(action, name) is not msgspec.UNSET]
    if len(named) != 1:
        raise Refused("bad-action", "Name one action: restart, resize, reset_status.", status=400)
    call.require(_rule(action, named[0]))
    instance = instance_of(call)
    match named[0]:
        case "restart":
            start_on(call, RESTART_INSTANCE, instance, check=check_actionable)
        case "reset_status":
            taken_over = call.services.take_over.reset(instance.id, about_owner(call, instance.project_id))
            call.services.commands.told(taken_over.position)
        case "resize":
            assert isinstance(action.resize, Resize)
            _resize(call, instance, action.resize)
        case other:
            raise Refused(
                "not-capable",
                f"{other}: the driver of datastore {instance.datastore.datastore} lacks the capability replication",
                status=422,
            )
    return accepted()


def _resize(call: Call, instance: Instance, resize: Resize) -> None:
    """Grow the volume; everything is checked, counted and recorded before the answer, the rest is an operation."""
    if isinstance(resize.volume, msgspec.UnsetType):
        check_actionable(instance)
        raise Refused("not-available", "another flavor is not available in this release", status=422)
    size_gib = resize.volume.size if isinstance(resize.volume, VolumeSize) else resize.volume
    offer = offer_of(call)
    call.services.commands.commit(
        about_owner(call, instance.project_id),
        lambda reader: growth_begins(call, reader, find_instance(call, reader, instance.id), size_gib, offer),
    )


def _rule(action: Action, name: str) -> str:
    """The policy rule of an action."""
    if isinstance(action.reset_status, Reset) and action.reset_status.force_delete:
        return "instance:force_delete"
    if isinstance(action.resize, Resize):
        if (action.resize.volume is msgspec.UNSET) == (action.resize.flavor_ref is msgspec.UNSET):
            raise Refused("bad-action", "resize takes either volume or flavorRef.", status=400)
        changed = "flavor" if action.resize.volume is msgspec.UNSET else "volume"
        return f"instance:resize_{changed}"
    return f"instance:{name}"


def _refuse_change(change: InstanceChange, name: str) -> None:
    match name:
        case "configuration" if change.configuration is None:
            return  # taking off what is not there
        case "configuration":
            raise NotFound("configuration", change.configuration)
        case "replica_of" | "slave_of":
            raise Refused("not-a-replica", "the instance is not a replica", status=400)
        case "datastore_version":
            raise Refused("not-available", "upgrades are not available in this release", status=422)
        case "access":
            raise Refused("not-available", "access cannot be changed in this release", status=422)


def _page(call: Call, view: View) -> Response:
    page = page_of(call.query, size=call.settings.page_sizes.instances)
    found = call.services.instances.page(
        project_id=call.caller.project_id,
        view=view_for(call, view),
        limit=page.limit,
        marker=page.marker,
    )
    return listing(call, "instances", call.filled_list(found.joined), found.next_marker)


def _volume_use(facts: VolumeFacts | None) -> VolumeUse | None:
    if facts is None:
        return None
    return VolumeUse(used_bytes=facts.used_bytes, available_bytes=facts.available_bytes)


ROUTES = (
    Route("GET", "/instances", "instance:index", index),
    Route("GET", "/instances/detail", "instance:detail", detail),
    Route("POST", "/instances", "instance:create", create),
    Route("GET", "/instances/{instance_id}", "instance:show", show),
    Route("PUT", "/instances/{instance_id}", "instance:update", update),
    Route("PATCH", "/instances/{instance_id}", "instance:update", update),
    Route("DELETE", "/instances/{instance_id}", "instance:delete", delete),
    Route("POST", "/instances/{instance_id}/action", "instance:show", act),
)
