"""What the definition of an operation may look at when it says what its steps do: states, and knowledge that needs no call."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from muniment.cloud.cloud import ObjectStore
from muniment.contract.control import ControlDriver
from muniment.domain.arguments import Arguments
from muniment.domain.backup import Backup
from muniment.domain.instance import Instance
from muniment.operations.timing import Timing

__all__ = ["Knowledge", "Scene"]


@dataclass(frozen=True)
class Knowledge:
    """What is known without asking anybody: pure, the same at every call."""

    control: Callable[[str], ControlDriver]
    """The control half of a datastore's driver."""
    objects: ObjectStore
    """Only `reference` is used here, which asks nobody."""
    timing: Timing


@dataclass(frozen=True)
class Scene:
    """The subjects as they are now, and what was asked."""

    operation_id: UUID
    arguments: Arguments
    knowledge: Knowledge
    now_s: float
    found_instance: Instance | None
    """The instance that is a subject, or of which the backup is."""
    found_backup: Backup | None
    wrapped_key: bytes = b""
    """The data key of the backup under the project's key; the guest writes it into the manifest."""

    @property
    def instance(self) -> Instance:
        """The instance; for operations that have one."""
        assert self.found_instance is not None, "this operation has no instance"
        return self.found_instance

    @property
    def backup(self) -> Backup:
        """The backup; for operations that have one."""
        assert self.found_backup is not None, "this operation has no backup"
        return self.found_backup

    @property
    def control(self) -> ControlDriver:
        """The control half of the instance's driver."""
        return self.knowledge.control(self.instance.datastore.datastore)
