"""Which status a user sees, row by row of the contract's tables."""

from collections.abc import Callable
from uuid import UUID

import msgspec
import pytest
from tests.support.strategies import FLAVOR, VERSION

from muniment.domain import instance as i
from muniment.domain.event import Event
from muniment.domain.occupancy import Hold, Occupied, Released
from muniment.domain.refused import Refused
from muniment.domain.status import operating_status_of, status_of

STREAM = UUID(int=1)
OPERATION = UUID(int=2)


def state_after(*events: Event) -> i.Instance:
    """An instance after these events, numbered from version 2."""
    state = i.apply(
        None,
        i.InstanceRequested(
            originator_id=STREAM,
            originator_version=1,
            project_id="p",
            name="db",
            flavor=FLAVOR,
            volume_size_gib=1,
            datastore=VERSION,
        ),
    )
    for event in events:
        state = i.apply(
            state, msgspec.structs.replace(event, originator_id=STREAM, originator_version=state.version + 1)
        )
    return state


def at(cls: type[Event], **fields: object) -> Event:
    """An event whose place `state_after` fills in."""
    return cls(originator_id=STREAM, originator_version=0, **fields)


ACTIVE = at(i.InstanceBecameActive)
HEALTHY = at(i.HealthChanged, state="healthy")
RELEASED = at(Released, operation_id=OPERATION)


def occupied(kind: str, hold: Hold) -> Event:
    """An operation of that kind began."""
    return at(Occupied, operation_id=OPERATION, kind=kind, hold=hold)


@pytest.mark.parametrize(
    ("events", "status", "operating"),
    [
        ((), "BUILD", ""),
        ((occupied("create_instance", Hold.EXCLUSIVE),), "BUILD", ""),
        ((at(i.InstanceFailed, message="no room"),), "ERROR", ""),
        ((ACTIVE, HEALTHY), "ACTIVE", "HEALTHY"),
        ((ACTIVE, at(i.HealthChanged, state="crashed")), "ACTIVE", "SHUTDOWN"),
        ((ACTIVE, at(i.HealthChanged, state="lost")), "ACTIVE", "ERROR"),
        ((ACTIVE, HEALTHY, occupied("restart_instance", Hold.EXCLUSIVE)), "REBOOT", ""),
        ((ACTIVE, HEALTHY, occupied("resize_volume", Hold.EXCLUSIVE)), "RESIZE", ""),
        ((ACTIVE, HEALTHY, occupied("create_backup", Hold.SHARED)), "BACKUP", "HEALTHY"),
        ((ACTIVE, HEALTHY, occupied("create_databases", Hold.SHARED)), "ACTIVE", "HEALTHY"),
        ((ACTIVE, HEALTHY, occupied("restart_instance", Hold.EXCLUSIVE), RELEASED), "ACTIVE", "HEALTHY"),
        ((ACTIVE, at(i.DeletionRequested)), "SHUTDOWN", ""),
        ((at(i.InstanceReset),), "ERROR", ""),
        ((ACTIVE, HEALTHY, at(i.InstanceReset)), "ACTIVE", "HEALTHY"),
    ],
)  # fmt: skip
def test_status_follows_the_table(events: tuple[Event, ...], status: str, operating: str) -> None:
    """Each row of `trove-api.md` 4.1 and 4.2 that this release can reach."""
    state = state_after(*events)
    assert (status_of(state), operating_status_of(state)) == (status, operating)


@pytest.mark.parametrize(
    "events",
    [
        (),
        (ACTIVE,),
        (ACTIVE, HEALTHY, occupied("restart_instance", Hold.EXCLUSIVE)),
        (ACTIVE, HEALTHY, occupied("create_backup", Hold.SHARED)),
        (ACTIVE, at(i.HealthChanged, state="lost")),
    ],
)
def test_actions_need_an_actionable_instance(events: tuple[Event, ...]) -> None:
    """A building, busy, backed-up or lost instance refuses actions with 422 and says why."""
    with pytest.raises(Refused) as refused:
        i.check_actionable(state_after(*events))
    assert refused.value.status == 422


@pytest.mark.parametrize("check", [i.check_actionable, i.check_databases_reachable])
def test_a_busy_instance_names_what_it_is_busy_with(check: Callable[[i.Instance], None]) -> None:
    """Both refusals carry the operation's id, for callers that wait for it."""
    state = state_after(ACTIVE, HEALTHY, occupied("restart_instance", Hold.EXCLUSIVE))
    with pytest.raises(Refused, match="busy with restart instance") as refused:
        check(state)
    assert refused.value.details == {"operation_id": str(OPERATION)}


def test_accounts_can_be_worked_on_during_a_backup() -> None:
    """A backup blocks actions, not the work on databases and users."""
    state = state_after(ACTIVE, HEALTHY, occupied("create_backup", Hold.SHARED))
    i.check_databases_reachable(state)
    with pytest.raises(Refused, match="busy with create backup"):
        i.check_actionable(state)
