"""What a plan wants from the cloud or the object store, and what came of it. Data only; `performing.py` makes the calls."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from muniment.cloud.recipes import CloudResource, Kind, Recipe, Tag
from muniment.contract.backup import StoreRef
from muniment.secret import Secret

__all__ = [
    "Absent", "Another", "Building", "Call", "Enrolment", "Ensured", "Errored", "ExtendVolume",
    "FindOrCreate", "Gone", "Look", "LookAtSize", "NoAnswer", "NotMade", "Observation", "Purge", "Purged", "Refusal", "Remains",
    "RemoveResource", "Removing", "Sight", "Sighted", "Sized",
]  # fmt: skip

# -- calls -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Enrolment:
    """A guest that is about to be born needs a one-time token; the worker draws it and opens the enrolment."""

    instance_id: UUID
    key_epoch: int


@dataclass(frozen=True)
class FindOrCreate:
    """Find a healthy resource by tag, or make it; an errored one is removed. Never begun after `call_by_s`."""

    kind: Kind
    tag: Tag
    call_by_s: float
    recipe: Callable[[Secret], Recipe]
    """Takes the token of the enrolment, which only a server's recipe uses."""
    enrolment: Enrolment | None = None


@dataclass(frozen=True)
class Look:
    """See what became of a resource: nothing is made. One that is still being made is removed where `discard_by_s` is given
    and not past: later, another worker may hold the claim and find it healthy."""

    kind: Kind
    tag: Tag
    discard_by_s: float | None = None


@dataclass(frozen=True)
class Sight:
    """See which resources carry a tag, in whatever condition, and touch nothing: a removal must know the ids first."""

    kind: Kind
    tag: Tag


@dataclass(frozen=True)
class RemoveResource:
    """Remove by id until the cloud confirms it; then look by tag once more for a twin that nobody holds."""

    kind: Kind
    tag: Tag
    resource_id: str


@dataclass(frozen=True)
class Purge:
    """Remove the objects of a backup."""

    reference: StoreRef


@dataclass(frozen=True)
class ExtendVolume:
    """Make a volume larger that is smaller than that. Never begun after `call_by_s`."""

    volume_id: str
    size_gib: int
    call_by_s: float


@dataclass(frozen=True)
class LookAtSize:
    """See how large a volume is, and touch nothing."""

    volume_id: str


Call = ExtendVolume | LookAtSize | FindOrCreate | Look | Sight | RemoveResource | Purge

# -- observations ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ensured:
    """It exists, healthy. A twin under the same tag, which only a process that stopped at the worst moment can make, is the
    reconciler's to report and the removal's to remove."""

    resource: CloudResource


@dataclass(frozen=True)
class Building:
    """It exists and is not ready yet."""

    resource_id: str


@dataclass(frozen=True)
class Removing:
    """It is errored, or was to be discarded, and is not gone yet."""

    reason: str


@dataclass(frozen=True)
class Errored:
    """It was errored or discarded, and is confirmed gone."""

    reason: str


@dataclass(frozen=True)
class Absent:
    """A look that began at `began_s` found nothing."""

    began_s: float


@dataclass(frozen=True)
class Sighted:
    """These carry the tag."""

    resource_ids: tuple[str, ...]


@dataclass(frozen=True)
class Sized:
    """A look that began at `began_s` found the volume in this size, at rest."""

    size_gib: int
    began_s: float


@dataclass(frozen=True)
class Gone:
    """The cloud confirmed by id that it is no more, and there is no twin."""


@dataclass(frozen=True)
class Another:
    """The one asked for is gone, and there is another under the same tag."""

    resource_id: str


@dataclass(frozen=True)
class Remains:
    """It is still there."""

    reason: str


@dataclass(frozen=True)
class Purged:
    """A purge left nothing, or something."""

    is_empty: bool


@dataclass(frozen=True)
class Refusal:
    """Known: nothing was done and nothing will be."""

    message: str
    retryable: bool
    for_owner: str = ""
    """What an owner may read of it."""


@dataclass(frozen=True)
class NoAnswer:
    """Nobody knows."""

    message: str


@dataclass(frozen=True)
class NotMade:
    """The permit ran out before the call; only the worker that held the permit may say so."""


Observation = (
    Ensured
    | Building
    | Removing
    | Errored
    | Absent
    | Sighted
    | Sized
    | Gone
    | Another
    | Remains
    | Purged
    | Refusal
    | NoAnswer
    | NotMade
)
