"""Every event, ready to be shown."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest
from tests.support.logs import backup_history, drawer_history, operation_history, requested
from tests.support.shown import projected
from tests.support.strategies import NAMESPACE, PROJECT

from muniment.domain.instance import InstanceFailed
from muniment_projections.timeline import Timeline

ID = UUID("0b5c3c0a-6a43-4a7e-9a35-3f9f2b1d7e11")
OTHER = UUID("0b5c3c0a-6a43-4a7e-9a35-3f9f2b1d7e12")
OPERATION = UUID("5d8d8f5a-1f0f-4b23-9f77-11a1f7d3c001")
BACKUP = UUID("5d8d8f5a-1f0f-4b23-9f77-11a1f7d3c002")


def test_an_event_as_a_cloud_event() -> None:
    """The envelope says what, whose, when, where in the log, who and why; the data hold the fact, names readable."""
    ledger, read_model = projected([requested(ID, name="Bücher")])
    stored = ledger.log.read(0, 1)[0]

    (document,) = Timeline(read_model).page(project_id=PROJECT).documents

    event = msgspec.json.decode(document)
    data = event.pop("data")
    assert event == {
        "specversion": "1.0",
        "id": str(stored.event.event_id),
        "source": f"/instances/{ID}",
        "type": "instance.requested.1",
        "time": "2026-01-01T00:00:01.000000Z",
        "datacontenttype": "application/json",
        "logposition": 1,
        "streamversion": 1,
        "projectid": PROJECT,
        "instanceid": str(ID),
        "actor": "user:keeper",
        "requestid": "req-1",
        "causationid": None,
        "digest": stored.digest.hex(),
    }
    assert (data["name"], data["volume_size_gib"]) == ("Bücher", 2)
    assert "originator_id" not in data


def test_an_instances_history_is_that_of_its_operations_and_backups_too() -> None:
    """What was done to an instance is in three kinds of streams; its owner asks once."""
    _, read_model = projected(
        [requested(ID), requested(OTHER)],
        operation_history(OPERATION, ID),
        backup_history(BACKUP, ID),
        drawer_history(NAMESPACE),
    )
    timeline = Timeline(read_model)

    of_instance = timeline.page(project_id=PROJECT, instance_id=ID)
    of_stream = timeline.page(project_id=PROJECT, stream_id=BACKUP)

    sources = [msgspec.json.decode(document)["source"].split("/")[1] for document in of_instance.documents]
    assert sources == ["instances"] + ["operations"] * 10 + ["backups"] * 5
    assert len(of_stream.documents) == 5
    assert len(timeline.page(project_id=PROJECT).documents) == 19


def test_a_cursor_misses_nothing_and_repeats_nothing() -> None:
    """Page by page gives the whole history; at the end the cursor stays where it is."""
    _, read_model = projected(operation_history(OPERATION, ID))
    timeline = Timeline(read_model)
    whole = timeline.page(project_id=PROJECT).documents

    first = timeline.page(project_id=PROJECT, limit=4)
    second = timeline.page(project_id=PROJECT, limit=4, after=first.cursor)
    third = timeline.page(project_id=PROJECT, limit=4, after=second.cursor)
    fourth = timeline.page(project_id=PROJECT, limit=4, after=third.cursor)

    assert first.documents + second.documents + third.documents == whole
    assert (first.cursor, second.cursor, third.cursor) == (4, 8, 10)
    assert (fourth.documents, fourth.cursor) == ([], 10)


def test_nobody_reads_another_projects_history() -> None:
    """Neither by project nor by naming the instance."""
    _, read_model = projected([requested(ID), requested(OTHER, project_id="another")])
    timeline = Timeline(read_model)

    assert len(timeline.page(project_id=PROJECT).documents) == 1
    assert timeline.page(project_id=PROJECT, instance_id=OTHER).documents == []
    assert len(timeline.page(project_id=None).documents) == 2


def test_our_insides_are_for_administrators() -> None:
    """The owner reads why in one sentence; details of the world behind it, only an administrator."""
    failed = InstanceFailed(
        originator_id=ID, originator_version=2, message="no room", details="host compute-7"
    )
    _, read_model = projected([requested(ID), failed])
    timeline = Timeline(read_model)

    owners = timeline.page(project_id=PROJECT, after=1).documents[0]
    admins = timeline.page(project_id=None, after=1, is_admin=True).documents[0]

    assert msgspec.json.decode(owners)["data"] == {"message": "no room"}
    assert msgspec.json.decode(admins)["data"] == {"message": "no room", "details": "host compute-7"}


@pytest.mark.parametrize(("limit", "count"), [(-5, 1), (0, 1), (3, 3), (10**9, 10)])
def test_every_answer_is_bounded(limit: int, count: int) -> None:
    """Whatever limit is asked for, an answer holds at least one event and at most a thousand."""
    _, read_model = projected(operation_history(OPERATION, ID))

    assert len(Timeline(read_model).page(project_id=PROJECT, limit=limit).documents) == count


def test_a_moment_becomes_a_position() -> None:
    """`as_of` may be asked by time: the last event that had happened by then counts."""
    _, read_model = projected([requested(ID)], operation_history(OPERATION, ID)[:2], [requested(OTHER)])
    timeline = Timeline(read_model)
    start = datetime(2026, 1, 1, tzinfo=UTC)

    positions = [timeline.position_at(start + timedelta(seconds=s)) for s in (0, 1, 1.5, 2, 3, 99)]

    assert positions == [0, 1, 1, 3, 4, 4]


def test_history_ends_where_it_is_asked_to() -> None:
    """With `as_of`, later events have not happened."""
    _, read_model = projected(operation_history(OPERATION, ID))

    assert Timeline(read_model).page(project_id=PROJECT, as_of=3).cursor == 3
