"""A cloud of virtual time: resources take their while, and everything that clouds get wrong is on a switch."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import msgspec
from tests.simulation.chance import Chance
from tests.simulation.engine import EngineData

from muniment.cloud.cloud import CloudRefused
from muniment.cloud.recipes import (
    CloudResource,
    Condition,
    Endpoint,
    Flavor,
    Kind,
    Network,
    PortRecipe,
    Recipe,
    ServerRecipe,
    Tag,
    VolumeRecipe,
)
from muniment.contract.backup import StoreRef
from muniment.fault import Fault

__all__ = ["SimulatedCloud", "SimulatedObjects", "Thing"]

_LATER_S = 6.0
"""The longest that an effect comes after the client gave up; with the slowest call it stays below `Timing.effect_s`."""
_SLOW_S = 7.0


@dataclass
class Thing:
    """One resource. It exists from its making until `gone_at_s`."""

    id: str
    recipe: Recipe
    created_at_s: float
    ready_at_s: float
    is_errored: bool
    going_until_s: float | None = None
    data: EngineData = field(default_factory=EngineData)
    """What lies on a volume."""

    @property
    def tag(self) -> Tag:
        """Whose it is."""
        return self.recipe.tag


class SimulatedCloud:
    """See `Cloud`. `pass_time` lets the world go on while a call is slow."""

    call_limit_s = _SLOW_S

    def __init__(
        self,
        chance: Chance,
        now_s: Callable[[], float],
        new_id: Callable[[], UUID],
        pass_time: Callable[[float], None],
    ) -> None:
        """Begin empty."""
        self.things: dict[str, Thing] = {}
        self.refuses_always: set[Kind] = set()
        """Kinds of which nothing new is made."""
        self.refuses_once: set[Kind] = set()
        self.errors_always: set[Kind] = set()
        """Kinds that come to be and are never healthy."""
        self.keeps_always: set[Kind] = set()
        """Kinds of which nothing is removed, whatever it says."""
        self.keeps_once: set[Kind] = set()
        self.on_create: Callable[[Recipe], None] = lambda recipe: None
        """Called as a call to make something begins."""
        self.on_found: Callable[[], None] = lambda: None
        """Called before a find's answer is read: it may be old by then, and a permit may have ended."""
        self.on_server: Callable[[Thing], None] = lambda thing: None
        self.on_server_gone: Callable[[Thing], None] = lambda thing: None
        self.complaints: list[str] = []
        """What no correct caller asks for."""
        self._chance = chance
        self._now_s = now_s
        self._new_id = new_id
        self._pass_time = pass_time
        self._later: list[tuple[float, Recipe]] = []
        self._grow_later: list[tuple[float, str, int]] = []
        self.extends_never = False
        """Whether every extension is refused for good."""
        self.extends_not_once = False

    @property
    def capabilities(self) -> frozenset[str]:
        """See `Cloud`."""
        return frozenset()

    def find(self, kind: Kind, tag: Tag) -> Sequence[CloudResource]:
        """See `Cloud`."""
        self._answer()
        found = [self._seen(t) for t in self._living() if t.recipe.kind is kind and t.tag == tag]
        self._slow()
        self.on_found()
        return found

    def create(self, recipe: Recipe) -> CloudResource:
        """See `Cloud`."""
        self.on_create(recipe)
        if isinstance(recipe, ServerRecipe) and not {recipe.volume_id, recipe.port_id} <= set(self.things):
            raise CloudRefused("its volume or port is not there", retryable=False)
        if recipe.kind in self.refuses_always:
            raise CloudRefused("it is not allowed", retryable=False)
        if recipe.kind in self.refuses_once:
            self.refuses_once.discard(recipe.kind)
            raise CloudRefused("no host was found")
        if self._chance.happens("cloud_refuses"):
            raise CloudRefused("no host was found", retryable=self._chance.random.random() < 0.5)
        if self._chance.happens("cloud_silent_never"):
            raise Fault("cloud", "no answer")
        if self._chance.happens("cloud_silent_later"):
            self._later.append((self._now_s() + self._chance.random.uniform(0, _LATER_S), recipe))
            raise Fault("cloud", "no answer")
        made = self._make(recipe)
        self._slow()
        if self._chance.happens("cloud_silent_done"):
            raise Fault("cloud", "no answer")
        return self._seen(made)

    def get(self, kind: Kind, resource_id: str) -> CloudResource | None:
        """See `Cloud`."""
        self._answer()
        self._living()
        thing = self.things.get(resource_id)
        return self._seen(thing) if thing is not None else None

    def delete(self, kind: Kind, resource_id: str) -> None:
        """See `Cloud`."""
        self._answer()
        self._living()
        thing = self.things.get(resource_id)
        if thing is None or thing.going_until_s is not None:
            return
        if self._users_of(resource_id):
            self.complaints.append(f"asked to delete {kind} {resource_id}, which is in use")
            raise CloudRefused("it is in use")
        if kind in self.keeps_always | self.keeps_once or self._chance.happens("cloud_keeps"):
            self.keeps_once.discard(kind)
            return  # it says yes and does nothing
        thing.going_until_s = self._now_s() + self._chance.random.uniform(0, 4)

    def extend(self, volume_id: str, size_gib: int) -> CloudResource:
        """See `Cloud`."""
        self._living()
        if volume_id not in self.things:
            raise CloudRefused("it is gone", retryable=False)
        if self.extends_never:
            raise CloudRefused("it is not allowed", retryable=False)
        if self.extends_not_once or self._chance.happens("cloud_refuses"):
            self.extends_not_once = False
            raise CloudRefused("not now")
        if self._chance.happens("cloud_silent_never"):
            raise Fault("cloud", "no answer")
        if self._chance.happens("cloud_silent_later"):
            due_s = self._now_s() + self._chance.random.uniform(0, _LATER_S)
            self._grow_later.append((due_s, volume_id, size_gib))
            raise Fault("cloud", "no answer")
        self._grow(volume_id, size_gib)
        self._slow()
        if self._chance.happens("cloud_silent_done"):
            raise Fault("cloud", "no answer")
        return self._seen(self.things[volume_id])

    def tagged(self) -> Iterable[CloudResource]:
        """See `Cloud`."""
        return [self._seen(thing) for thing in self._living()]

    def flavors(self) -> Sequence[Flavor]:
        """See `Cloud`."""
        return [Flavor(id="1", name="small", ram_mib=512, vcpus=1)]

    def networks(self) -> Sequence[Network]:
        """See `Cloud`."""
        return [Network(id="net-1", name="default", is_default=True)]

    def free_volume_bytes(self) -> int | None:
        """See `Cloud`."""
        return None

    def make_unasked(self, recipe: Recipe) -> CloudResource:
        """A resource comes to be that no operation has asked for."""
        return self._seen(self._make(recipe))

    def settle(self) -> None:
        """Let time have its effect: late creations happen, what goes is gone."""
        self._living()

    def next_due_s(self) -> float | None:
        """When a late creation happens."""
        return min((due_s for due_s, *_ in (*self._later, *self._grow_later)), default=None)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _answer(self) -> None:
        if self._chance.happens("cloud_silent_never"):
            raise Fault("cloud", "no answer")

    def _slow(self) -> None:
        if self._chance.happens("cloud_slow"):
            self._pass_time(self._chance.random.uniform(1, _SLOW_S))

    def _make(self, recipe: Recipe) -> Thing:
        now_s = self._now_s()
        is_errored = recipe.kind in self.errors_always or self._chance.happens("cloud_errored")
        thing = Thing(
            id=f"{recipe.kind}-{self._new_id()}",
            recipe=recipe,
            created_at_s=now_s,
            ready_at_s=now_s + self._chance.random.uniform(0, 3),
            is_errored=is_errored,
        )
        self.things[thing.id] = thing
        if isinstance(recipe, ServerRecipe) and not is_errored:
            self.on_server(thing)
        return thing

    def _grow(self, volume_id: str, size_gib: int) -> None:
        thing = self.things.get(volume_id)
        if thing is not None and isinstance(thing.recipe, VolumeRecipe) and thing.recipe.size_gib < size_gib:
            thing.recipe = msgspec.structs.replace(thing.recipe, size_gib=size_gib)

    def _living(self) -> list[Thing]:
        now_s = self._now_s()
        due = [recipe for due_s, recipe in self._later if due_s <= now_s]
        self._later = [entry for entry in self._later if entry[0] > now_s]
        for recipe in due:
            self._make(recipe)
        grows = [entry for entry in self._grow_later if entry[0] <= now_s]
        self._grow_later = [entry for entry in self._grow_later if entry[0] > now_s]
        for _, volume_id, size_gib in grows:
            self._grow(volume_id, size_gib)
        for thing in list(self.things.values()):
            if thing.going_until_s is not None and thing.going_until_s <= now_s:
                del self.things[thing.id]
                if isinstance(thing.recipe, ServerRecipe):
                    self.on_server_gone(thing)
        return list(self.things.values())

    def _users_of(self, resource_id: str) -> list[Thing]:
        return [
            t
            for t in self.things.values()
            if isinstance(t.recipe, ServerRecipe) and resource_id in (t.recipe.volume_id, t.recipe.port_id)
        ]

    def _seen(self, thing: Thing) -> CloudResource:
        return CloudResource(
            kind=thing.recipe.kind,
            id=thing.id,
            tag=thing.tag,
            condition=self._condition(thing),
            created_at_s=thing.created_at_s,
            reason="it broke" if thing.is_errored else "",
            endpoint=_endpoint(thing),
            size_gib=getattr(thing.recipe, "size_gib", None),
        )

    def _condition(self, thing: Thing) -> Condition:
        if thing.going_until_s is not None:
            return Condition.DELETING
        if thing.is_errored:
            return Condition.ERRORED
        return Condition.HEALTHY if thing.ready_at_s <= self._now_s() else Condition.BUILDING

    def gib_of(self, project_of: Callable[[UUID], str]) -> dict[str, int]:
        """How many GiB of volumes exist, by project."""
        sums: dict[str, int] = {}
        for thing in self.things.values():
            if isinstance(thing.recipe, VolumeRecipe):
                project = project_of(thing.tag.instance_id)
                sums[project] = sums.get(project, 0) + thing.recipe.size_gib
        return sums


def _endpoint(thing: Thing) -> Endpoint | None:
    if not isinstance(thing.recipe, PortRecipe):
        return None
    address = ".".join(str(byte) for byte in UUID(thing.id.removeprefix("port-")).bytes[:3])
    return Endpoint(address=f"10.{address}", port=thing.recipe.port, network_id="net-1")


class SimulatedObjects:
    """See `ObjectStore`."""

    def __init__(self, chance: Chance) -> None:
        """Begin empty."""
        self.objects: dict[str, set[str]] = {}
        """Names by location."""
        self.keeps_always = False
        self.keeps_once = False
        self.on_purge: Callable[[str], None] = lambda location: None
        """Called with the location as a purge begins."""
        self._chance = chance

    def reference(self, project_id: str, backup_id: UUID, *, until_s: float) -> StoreRef:
        """See `ObjectStore`."""
        return StoreRef(kind="file", location=f"{project_id}/{backup_id}", until_s=until_s)

    def purge(self, reference: StoreRef) -> bool:
        """See `ObjectStore`."""
        self.on_purge(reference.location)
        if self._chance.happens("cloud_silent_never"):
            raise Fault("objects", "no answer")
        if self.keeps_always or self.keeps_once:
            self.keeps_once = False
            raise Fault("objects", "the store is down")
        self.objects.pop(reference.location, None)
        return True

    def free_bytes(self) -> int | None:
        """See `ObjectStore`."""
        return None
