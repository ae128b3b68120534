"""Hypothesis strategies for histories: every event is one that may follow the state before it."""

from collections.abc import Callable
from uuid import UUID, uuid5

from hypothesis import strategies as st

from muniment.domain import instance as i
from muniment.domain import resources as r
from muniment.domain.accounts import WantedDatabase, WantedUser
from muniment.domain.datastore import version_id
from muniment.domain.event import Event
from muniment.domain.occupancy import Hold, Occupied, Released

NAMESPACE = UUID("8d4bb0c6-6a0e-4a55-9d67-0f5a4b4f6a11")
PROJECT = "project-1"

names = st.text(min_size=1, max_size=30).filter(str.strip)

FLAVOR = i.FlavorFacts(id="1", name="small", ram_mib=512, vcpus=1)
VERSION = i.VersionFacts(
    datastore="postgresql",
    version_id=version_id("postgresql", "18"),
    name="18",
    number="18.6",
    driver="postgresql",
)


@st.composite
def requested(draw: st.DrawFn) -> i.InstanceRequested:
    """The first event of an instance's stream."""
    stream = draw(st.uuids())
    databases = draw(st.lists(names, max_size=3, unique=True))
    return i.InstanceRequested(
        originator_id=stream,
        originator_version=1,
        project_id=PROJECT,
        name=draw(names),
        flavor=FLAVOR,
        volume_size_gib=draw(st.integers(1, 100)),
        datastore=VERSION,
        databases=tuple(WantedDatabase(name=name) for name in databases),
        users=tuple(
            WantedUser(name=name, databases=tuple(databases), secret_ref=uuid5(stream, name))
            for name in draw(st.lists(names, max_size=2, unique=True))
        ),
    )


def _choices(state: i.Instance, number: int) -> list[Callable[[], Event]]:
    """What may happen next; each makes an unstamped event of the right version."""
    at = {"originator_id": state.id, "originator_version": state.version + 1, "project_id": PROJECT}
    found: list[Callable[[], Event]] = [
        lambda: i.InstanceRenamed(**at, name=f"name {number}"),
        lambda: i.EpochRaised(**at, epoch=state.epoch + 1),
        lambda: i.HealthChanged(**at, state="crashed" if state.health == "healthy" else "healthy"),
        lambda: i.OperationFaulted(**at, message="it did not work"),
        lambda: i.DatabaseCreated(**at, name=f"d{number}"),
        lambda: i.UserDropped(**at, name=f"u{number}"),
        lambda: i.SuperuserEnabled(**at),
        lambda: Occupied(
            **at, operation_id=uuid5(NAMESPACE, str(number)), kind="create_backup", hold=Hold.SHARED
        ),
        lambda: r.EndpointAssigned(**at, address="127.0.12.1", port=5432, network_id="local"),
    ]
    found += [lambda o=o: Released(**at, operation_id=o.operation_id) for o in state.occupants]
    for role in r.Role:
        resource = state.resources.get(role)
        if resource is None or not resource.may_exist:
            found.append(lambda role=role: r.ResourceExpected(**at, role=role, settled_at_s=float(number)))
        elif resource.presence is r.Presence.EXPECTED:
            found.append(lambda role=role: r.ResourceHeld(**at, role=role, resource_id=f"{role}-{number}"))
            found.append(lambda role=role: r.ResourceAbsent(**at, role=role))
        else:
            found.append(
                lambda role=role, held=resource.resource_id: r.ResourceGone(
                    **at, role=role, resource_id=held or ""
                )
            )
    if state.lifecycle is i.Lifecycle.BUILDING:
        found += [lambda: i.InstanceBecameActive(**at), lambda: i.InstanceFailed(**at, message="no room")]
    if state.lifecycle is not i.Lifecycle.DELETING:
        found.append(lambda: i.DeletionRequested(**at))
    return found


@st.composite
def histories(draw: st.DrawFn, max_size: int = 40) -> list[Event]:
    """A history of one instance that deciders could have produced."""
    first = draw(requested())
    state = i.apply(None, first)
    history: list[Event] = [first]
    for number in range(draw(st.integers(0, max_size - 1))):
        event = draw(st.sampled_from(_choices(state, number)))()
        history.append(event)
        state = i.apply(state, event)
    return history
