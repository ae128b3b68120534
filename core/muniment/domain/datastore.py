"""A datastore and its versions, as an operator registered them. The stream's id is uuid5 of its name."""

from collections.abc import Sequence
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec

from muniment.domain.event import Aggregate, Event, topic
from muniment.domain.history import IllegalHistory
from muniment.domain.refused import NotFound, Refused

__all__ = [
    "DATASTORE", "SYSTEM_PROJECT", "Datastore", "DatastoreRegistered", "DatastoreVersion",
    "DefaultVersionSet", "VersionRegistered", "WantedVersion", "choose_version", "datastore_id", "register_version",
    "version_id",
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


class WantedVersion(msgspec.Struct, frozen=True, kw_only=True):
    """Which datastore and version a tenant names, each by name or id; None where nothing is said."""

    datastore: str | None = None
    version: str | None = None
    number: str | None = None


def choose_version(
    wanted: WantedVersion, known: Sequence[Datastore], names: Sequence[str]
) -> tuple[Datastore, DatastoreVersion]:
    """The version that is meant: the only datastore and its default version where none is named.

    `known` are the datastores that are registered; `names` those that have a driver, of which alone one can be had.

    Raises:
        NotFound: there is no such datastore.
        Refused: 400, there is no such version, it is not the only one, or it is not active.
    """
    datastore = _choose_datastore(wanted.datastore, known, names)
    if wanted.version is None and wanted.number is None:
        return datastore, _default_version(datastore)
    found = [
        version
        for version in datastore.versions.values()
        if (wanted.version is None or _is_named(wanted.version, version.name, version.id))
        and wanted.number in (None, version.number)
    ]
    named = " with number ".join(word for word in (wanted.version, wanted.number) if word is not None)
    if len(found) != 1:
        what = (
            f"cannot be found; there are: {_active_versions(datastore)}"
            if not found
            else "is not the only one of that name; add version_number"
        )
        raise Refused("bad-version", f"version {named} of datastore {datastore.name} {what}", status=400)
    if not found[0].active:
        raise Refused(
            "inactive-version",
            f"version {named} of datastore {datastore.name} is not active; there are: {_active_versions(datastore)}",
            status=400,
        )
    return datastore, found[0]


def _choose_datastore(wanted: str | None, known: Sequence[Datastore], names: Sequence[str]) -> Datastore:
    if wanted is None:
        if len(names) != 1:
            raise Refused("no-datastore", f"Name a datastore: one of {', '.join(names)}.", status=400)
        wanted = names[0]
    for datastore in known:
        if datastore.name in names and _is_named(wanted, datastore.name, datastore.id):
            return datastore
    there_are = sorted(datastore.name for datastore in known if datastore.name in names)
    raise NotFound("datastore", wanted, advice=f"there are: {', '.join(there_are) or 'none'}")


def _active_versions(datastore: Datastore) -> str:
    """The names of the versions that can be had."""
    names = sorted({version.name for version in datastore.versions.values() if version.active})
    return ", ".join(names) or "none"


def _default_version(datastore: Datastore) -> DatastoreVersion:
    default = datastore.versions.get(datastore.default_version_id) if datastore.default_version_id else None
    if default is None or not default.active:
        raise Refused(
            "no-version", f"datastore {datastore.name} has no default version; name one", status=400
        )
    return default


def _is_named(text: str, name: str, its_id: UUID) -> bool:
    """Whether a tenant's word is this name, or this id in any of its spellings."""
    return text == name or text.replace("-", "").lower() == its_id.hex
