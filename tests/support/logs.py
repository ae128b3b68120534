"""Logs for tests of read models: histories of every kind of stream, interleaved, saved into a real ledger."""

from collections.abc import Sequence
from uuid import UUID, uuid5

import msgspec
from hypothesis import strategies as st
from tests.support.drawers import DrawerMoved, DrawerOpened
from tests.support.ledgers import ledger_on
from tests.support.strategies import FLAVOR, NAMESPACE, PROJECT, VERSION, histories, names

from muniment.clock import ManualClock
from muniment.domain import backup as b
from muniment.domain import operation as o
from muniment.domain.arguments import NoArguments
from muniment.domain.datastore import DatastoreVersion, datastore_id, register_version, version_id
from muniment.domain.event import About, Event
from muniment.domain.instance import InstanceDeleted, InstanceRequested
from muniment.domain.occupancy import Hold
from muniment.domain.quota import set_limits
from muniment.store.ledger import Ledger
from muniment.store.memory import open_memory

ABOUT = About(project_id=PROJECT, actor="user:keeper", request_id="req-1")
STEPS = ("ensure_volume", "ensure_server", "bootstrap")


def new_ledger() -> Ledger:
    """An empty ledger in memory; its clock stands still until `save` moves it."""
    return ledger_on(open_memory(), ManualClock())


def requested(stream: UUID, name: str = "orders", project_id: str = PROJECT) -> InstanceRequested:
    """The plainest beginning of an instance."""
    return InstanceRequested(
        originator_id=stream,
        originator_version=1,
        project_id=project_id,
        name=name,
        flavor=FLAVOR,
        volume_size_gib=2,
        datastore=VERSION,
    )


def backup_history(stream: UUID, instance: UUID, name: str = "nightly") -> list[Event]:
    """A backup that is made and deleted."""
    common = {"project_id": PROJECT, "originator_id": stream}
    events: list[Event] = [
        b.BackupRequested(**common, originator_version=1, instance_id=instance, name=name, datastore=VERSION),
        b.UploadGranted(**common, originator_version=2, until_s=1.0),
        b.BackupCompleted(
            **common,
            originator_version=3,
            location="file:store/1",
            plain_bytes=450_971_566,
            stored_bytes=100,
            segments=1,
            manifest_sha256="0" * 64,
            server_version="18.6",
            key_id="key",
        ),
        b.BackupDeletionRequested(**common, originator_version=4),
        b.BackupDeleted(**common, originator_version=5),
    ]
    return events


def operation_history(stream: UUID, instance: UUID, kind: str = "create_instance.1") -> list[Event]:
    """An operation of three steps, of which the second fails once."""
    common = {"project_id": PROJECT, "originator_id": stream}
    subject = o.Subject(kind=o.SubjectKind.INSTANCE, id=instance, hold=Hold.EXCLUSIVE)
    told: list[tuple[type[Event], dict[str, object]]] = [
        (o.Started, {"kind": kind, "subjects": (subject,), "arguments": NoArguments(), "steps": STEPS}),
        (o.Intended, {"step": "ensure_volume", "failures": 0}),
        (o.Succeeded, {"step": "ensure_volume"}),
        (o.Intended, {"step": "ensure_server", "failures": 0}),
        (o.Failed, {"step": "ensure_server", "failures": 1, "error": "cloud said no", "retry_at_s": 5.0}),
        (o.Intended, {"step": "ensure_server", "failures": 1}),
        (o.Succeeded, {"step": "ensure_server"}),
        (o.Intended, {"step": "bootstrap", "failures": 0}),
        (o.Succeeded, {"step": "bootstrap"}),
        (o.Completed, {"outcome": o.End.SUCCEEDED}),
    ]
    return [
        kind_of(**common, originator_version=number, **fields)
        for number, (kind_of, fields) in enumerate(told, start=1)
    ]


def datastore_history() -> list[Event]:
    """A datastore with two versions, one of them no longer active."""
    made = DatastoreVersion(
        id=version_id("postgresql", "18"),
        name="18",
        number="18.6",
        driver="postgresql",
        driver_version="1",
        image=None,
        image_digest=None,
        active=True,
    )
    old = msgspec.structs.replace(
        made, id=version_id("postgresql", "17"), name="17", number="17.1", active=False
    )
    first = register_version(None, "postgresql", made, default=True)
    described = {f: getattr(old, f) for f in old.__struct_fields__ if f != "id"}
    return [
        *first,
        type(first[1])(
            originator_id=datastore_id("postgresql"), originator_version=4, version_id=old.id, **described
        ),
    ]


def drawer_history(stream: UUID) -> list[Event]:
    """A kind of stream that no projection follows."""
    return [
        DrawerOpened(originator_id=stream, originator_version=1, project_id=PROJECT, label="a", shelf=1),
        DrawerMoved(originator_id=stream, originator_version=2, project_id=PROJECT, shelf=2),
    ]


@st.composite
def logs(draw: st.DrawFn) -> list[list[Event]]:
    """Saves, in order: histories of every kind, each cut somewhere, their events mixed as they may come."""
    streams: list[list[Event]] = []
    for history in draw(st.lists(histories(max_size=12), min_size=1, max_size=3)):
        instance = history[0].originator_id
        ended = InstanceDeleted(originator_id=instance, originator_version=len(history) + 1)
        streams.append([*history, *([ended] if draw(st.booleans()) else [])])
        streams.append(_cut(draw, operation_history(uuid5(instance, "operation"), instance)))
        streams.append(_cut(draw, backup_history(uuid5(instance, "backup"), instance, draw(names))))
    streams.append(_cut(draw, datastore_history()))
    streams.append(_cut(draw, drawer_history(NAMESPACE)))
    streams.append(set_limits(None, PROJECT, {"instances": draw(st.integers(-1, 20))}))
    turns = draw(st.permutations([n for n, stream in enumerate(streams) for _ in stream]))
    waiting = [iter(stream) for stream in streams]
    mixed = [next(waiting[turn]) for turn in turns]
    size = draw(st.integers(1, 5))
    return [mixed[start : start + size] for start in range(0, len(mixed), size)]


def save(ledger: Ledger, saves: Sequence[Sequence[Event]]) -> Ledger:
    """Save each batch, a second apart."""
    for events in saves:
        clock = ledger._clock
        assert isinstance(clock, ManualClock)
        clock.advance(1.0)
        ledger.save(events, ABOUT)
    return ledger


def _cut(draw: st.DrawFn, history: list[Event]) -> list[Event]:
    return history[: draw(st.integers(0, len(history)))]
