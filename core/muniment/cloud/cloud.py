"""The port to a cloud: what operations, API and reconciler may ask of one. `local` and `openstack` implement it.

Every call returns, or raises, within `call_limit_s`; none waits until something is ready. The caller polls with `get`.
An exception says what is known: `CloudRefused` - nothing was done and nothing will be; any other `Fault` - nobody knows,
the effect may still come, and the caller looks for it later.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol
from uuid import UUID

from muniment.cloud.recipes import CloudResource, Flavor, Kind, Network, Recipe, Tag
from muniment.contract.backup import StoreRef
from muniment.fault import Fault

__all__ = ["ALLOWED_CIDRS", "NO_SPACE", "SECURITY_GROUPS", "Cloud", "CloudRefused", "ObjectStore"]

ALLOWED_CIDRS = "allowed_cidrs"
"""Capability: source rules are really enforced."""
SECURITY_GROUPS = "security_groups"
"""Capability: ports have groups that have to be made and removed."""

NO_SPACE = "No space left on device"
"""What an owner reads where a cloud has no room for what they asked for."""


class CloudRefused(Fault):
    """The cloud said no: nothing came to be, and nothing will from this call."""

    def __init__(self, message: str, *, retryable: bool = True, for_owner: str = "") -> None:
        """Say what was refused and why; `retryable` when the same call may succeed later.

        `for_owner` is what the owner of the instance may read of it: nothing about machines that are not theirs.
        """
        super().__init__("cloud", message, retryable=retryable)
        self.for_owner = for_owner


class Cloud(Protocol):
    """Volumes, ports and servers by role, found again by tag.

    Safe to call from several processes at once. A resource exists from the moment `create` may have an effect until
    `get` answers None.
    """

    @property
    def capabilities(self) -> frozenset[str]:
        """What this cloud can do beyond the minimum; the API refuses the rest with 422."""
        ...

    @property
    def call_limit_s(self) -> float:
        """The longest that one call takes before it raises."""
        ...

    def find(self, kind: Kind, tag: Tag) -> Sequence[CloudResource]:
        """All resources of that kind with that name and tag, in whatever condition; usually none or one.

        A resource that is being deleted is found until it is gone.

        Raises:
            Fault: no answer.
        """
        ...

    def create(self, recipe: Recipe) -> CloudResource:
        """Begin to make a resource; it may come back as building. Called only after `find` found nothing.

        Raises:
            CloudRefused: nothing was made, and nothing will be; also when a server's volume or port is not there.
            Fault: no answer; it may come to be.
        """
        ...

    def get(self, kind: Kind, resource_id: str) -> CloudResource | None:
        """The resource with that id; None means confirmed: it is no more, and nothing of it runs.

        Raises:
            Fault: no answer.
        """
        ...

    def delete(self, kind: Kind, resource_id: str) -> None:
        """Begin to remove a resource; one that is gone or going is a success. A server's end takes its agent, its engine
        and its jobs along.

        Raises:
            CloudRefused: not now, for instance since a server still uses the volume.
            Fault: no answer.
        """
        ...

    def extend(self, volume_id: str, size_gib: int) -> CloudResource:
        """Begin to make a volume larger while it is in use; one that has that size or more is a success.

        The server that uses it sees the new size by itself; the filesystem on it is for the guest to grow.

        Raises:
            CloudRefused: it was not extended and will not be, for instance since it is gone.
            Fault: no answer; it may grow.
        """
        ...

    def tagged(self) -> Iterable[CloudResource]:
        """Everything in this cloud that carries a tag of ours, for the reconciler.

        Raises:
            Fault: no answer.
        """
        ...

    def flavors(self) -> Sequence[Flavor]:
        """The sizes an instance may have, smallest first."""
        ...

    def networks(self) -> Sequence[Network]:
        """The networks an instance may be attached to."""
        ...

    def free_volume_bytes(self) -> int | None:
        """How much more volumes may really hold; None where the cloud does not say."""
        ...


class ObjectStore(Protocol):
    """Where backups lie. Guests write there under a grant; only the control plane removes."""

    def reference(self, project_id: str, backup_id: UUID, *, until_s: float) -> StoreRef:
        """Where the objects of one backup are to lie, the same at every call, with a grant that ends at `until_s`."""
        ...

    def purge(self, reference: StoreRef) -> bool:
        """Remove every object of a backup that can be seen now, also half-written ones; True when nothing is left.

        Raises:
            Fault: no answer; call again.
        """
        ...

    def free_bytes(self) -> int | None:
        """How much more backups may hold; None where the store does not say."""
        ...
