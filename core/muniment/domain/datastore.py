"""A datastore and its versions, as an operator registered them. The stream's id is uuid5 of its name."""

from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec

from muniment.domain.event import Aggregate, Event, topic
from muniment.domain.history import IllegalHistory

__all__ = [
    "DATASTORE", "SYSTEM_PROJECT", "Datastore", "DatastoreRegistered", "DatastoreVersion",
    "DefaultVersionSet", "VersionRegistered", "datastore_id", "register_version", "version_id",
]  # fmt: skip

SYSTEM_PROJECT = "system"
"""Owner of the streams that belong to no tenant."""

_NAMESPACE = uuid5(NAMESPACE_URL, "urn:muniment:datastore")


def datastore_id(name: str) -> UUID:
    """The id of a datastore, the same on every installation."""
    return uuid5(_NAMESPACE, name)


def version_id(datastore: str, name: str) -> UUID:
    """The id of a datastore version, the same on every installation."""
    return uuid5(datastore_id(datastore), name)


@topic("datastore.registered.1")
class DatastoreRegistered(Event, frozen=True, kw_only=True):
    """A datastore became known."""

    name: str


@topic("datastore.version_registered.1")
class VersionRegistered(Event, frozen=True, kw_only=True):
    """A version became known, or its description changed."""

    version_id: UUID
    name: str
    number: str
    driver: str
    driver_version: str
    image: str | None = None
    image_digest: str | None = None
    active: bool = True


@topic("datastore.default_version_set.1")
class DefaultVersionSet(Event, frozen=True, kw_only=True):
    """New instances that name no version get this one."""

    version_id: UUID


class DatastoreVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version: `name` is what users type, `number` picks programs or image."""

    id: UUID
    name: str
    number: str
    driver: str
    driver_version: str
    image: str | None
    image_digest: str | None
    active: bool


class Datastore(msgspec.Struct, frozen=True, kw_only=True):
    """A datastore as its history tells it."""

    id: UUID
    version: int
    name: str
    versions: dict[UUID, DatastoreVersion] = {}
    default_version_id: UUID | None = None


def apply(state: Datastore | None, event: Event) -> Datastore:
    """One event more; raises IllegalHistory for what no decider produces."""
    match event:
        case DatastoreRegistered() if state is None:
            return Datastore(id=event.originator_id, version=event.originator_version, name=event.name)
        case VersionRegistered() if state is not None:
            made = DatastoreVersion(
                id=event.version_id,
                name=event.name,
                number=event.number,
                driver=event.driver,
                driver_version=event.driver_version,
                image=event.image,
                image_digest=event.image_digest,
                active=event.active,
            )
            return msgspec.structs.replace(
                state, version=event.originator_version, versions={**state.versions, made.id: made}
            )
        case DefaultVersionSet() if state is not None:
            return msgspec.structs.replace(
                state, version=event.originator_version, default_version_id=event.version_id
            )
    raise IllegalHistory(f"{type(event).__name__} does not belong here in a datastore's stream")


DATASTORE: Aggregate[Datastore] = Aggregate("datastore", apply)


def register_version(
    state: Datastore | None, datastore: str, version: DatastoreVersion, *, default: bool
) -> list[Event]:
    """Decide that a version is known as described; nothing to do when it already is."""
    events: list[Event] = []
    stream, at = datastore_id(datastore), 0 if state is None else state.version
    if state is None:
        events.append(
            DatastoreRegistered(originator_id=stream, originator_version=(at := at + 1), name=datastore)
        )
    if state is None or state.versions.get(version.id) != version:
        described = {f: getattr(version, f) for f in version.__struct_fields__ if f != "id"}
        events.append(
            VersionRegistered(
                originator_id=stream, originator_version=(at := at + 1), version_id=version.id, **described
            )
        )
    if default and (state is None or state.default_version_id is None):
        events.append(
            DefaultVersionSet(originator_id=stream, originator_version=at + 1, version_id=version.id)
        )
    return events
