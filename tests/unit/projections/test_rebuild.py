"""Rebuilding beside the live read models, and the proof of equality."""

from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from tests.support.logs import backup_history, new_ledger, operation_history, requested, save
from tests.support.shown import projected, shown
from tests.support.strategies import PROJECT

from muniment.domain.instance import InstanceRenamed
from muniment.store.ledger import Ledger
from muniment_projections.audit import Audit
from muniment_projections.catalogue import CATALOGUE
from muniment_projections.instances import Instances
from muniment_projections.projector import Overtaken, Projector
from muniment_projections.proof import Disagreement
from muniment_projections.read_model import ReadModel
from muniment_projections.rebuild import RebuildProgress, RebuildStage, rebuild
from muniment_projections.row import View

ID = UUID("0b5c3c0a-6a43-4a7e-9a35-3f9f2b1d7e11")
BACKUP = UUID("5d8d8f5a-1f0f-4b23-9f77-11a1f7d3c002")
OPERATION = UUID("5d8d8f5a-1f0f-4b23-9f77-11a1f7d3c001")


def _history() -> tuple[Ledger, ReadModel]:
    renamed = InstanceRenamed(originator_id=ID, originator_version=2, name="sales")
    return projected(
        [requested(ID)], operation_history(OPERATION, ID), backup_history(BACKUP, ID)[:3], [renamed]
    )


def _alter(read_model: ReadModel, statement: str) -> None:
    with read_model.writing() as connection:
        assert connection.execute(text(statement)).rowcount == 1


def test_an_honest_read_model_is_proved_equal() -> None:
    """With a count and a digest for each table, the same on both sides."""
    ledger, read_model = _history()

    rebuilt = rebuild(ledger.log, read_model)

    assert rebuilt.proof.is_equal
    assert (rebuilt.generation, rebuilt.position) == (2, 15)
    rows = {table.table: table.rows for table in rebuilt.proof.tables}
    assert rows == {
        "backups": 3,
        "datastore_versions": 0,
        "datastores": 0,
        "instances": 2,
        "operations": 10,
        "quotas": 0,
        "timeline": 15,
        "states": 3,
    }
    assert all(table.digest == table.expected_digest for table in rebuilt.proof.tables)


def test_equal_read_models_have_equal_digests() -> None:
    """Rebuilt twice from one log, the digest is the same; it can be written down and compared later."""
    ledger, read_model = _history()

    first, second = rebuild(ledger.log, read_model), rebuild(ledger.log, read_model)

    assert first.proof.digest == second.proof.digest
    assert (first.generation, second.generation) == (2, 3)


@pytest.mark.parametrize(
    ("statement", "table", "key", "kind", "columns"),
    [
        (
            "UPDATE instances_v1 SET summary = replace(summary, 'sales', 'stolen') WHERE valid_from = 15",
            "instances",
            f"{ID} from 15 to now",
            Disagreement.ALTERED,
            ("summary",),
        ),
        (
            "UPDATE instances_v1 SET project_id = 'mine', created_us = 1 WHERE valid_from = 1",
            "instances",
            f"{ID} from 1 to 15",
            Disagreement.ALTERED,
            ("project_id", "created_us"),
        ),
        (
            "DELETE FROM backups_v1 WHERE valid_from = 13",
            "backups",
            f"{BACKUP} from 13 to 14",
            Disagreement.MISSING,
            (),
        ),
        (
            "INSERT INTO quotas_v1 VALUES ('k', 1, 9223372036854775807, 'p', 0, x'7b7d')",
            "quotas",
            "k from 1 to now",
            Disagreement.EXTRA,
            (),
        ),
        (
            "UPDATE timeline_v1 SET document = x'7b7d' WHERE position = 4",
            "timeline",
            "at 4",
            Disagreement.ALTERED,
            ("document",),
        ),
        ("DELETE FROM timeline_v1 WHERE position = 15", "timeline", "at 15", Disagreement.MISSING, ()),
        (
            f"UPDATE states_v1 SET state = x'80' WHERE stream_id = '{ID}'",
            "states",
            str(ID),
            Disagreement.ALTERED,
            ("state",),
        ),
    ],
)
def test_a_row_that_was_altered_by_hand_is_named(
    statement: str, table: str, key: str, kind: Disagreement, columns: tuple[str, ...]
) -> None:
    """One altered, removed or added row, in any table: the proof fails and says which, and in which columns."""
    ledger, read_model = _history()
    _alter(read_model, statement)

    proof = rebuild(ledger.log, read_model).proof

    assert not proof.is_equal
    assert [(d.table, d.key, d.kind, d.columns) for d in proof.differences] == [(table, key, kind, columns)]
    assert [t.table for t in proof.tables if t.digest != t.expected_digest] == [table]


def test_the_rebuild_heals_what_was_altered() -> None:
    """The log is right by definition: afterwards queries read what it says, and a second rebuild finds nothing."""
    ledger, read_model = _history()
    _alter(read_model, "UPDATE instances_v1 SET detail = x'7b7d' WHERE valid_from = 15")
    rebuild(ledger.log, read_model)

    healed = shown(Instances(read_model).get(ID, project_id=PROJECT, view=View.DETAIL))

    assert healed["name"] == "sales"
    assert rebuild(ledger.log, read_model).proof.is_equal


def test_a_row_shifted_in_time_is_found() -> None:
    """A version that claims to begin later than it did hides itself from its past."""
    ledger, read_model = _history()
    _alter(read_model, "UPDATE instances_v1 SET valid_from = 99 WHERE valid_from = 15")

    proof = rebuild(ledger.log, read_model).proof

    assert [(d.key, d.kind) for d in proof.differences] == [(f"{ID} from 15 to now", Disagreement.MISSING)]


def test_only_the_first_differences_are_named_but_all_are_counted() -> None:
    """A table that was emptied does not flood the terminal."""
    ledger, read_model = projected([requested(uuid4()) for _ in range(30)])
    with read_model.writing() as connection:
        connection.execute(text("DELETE FROM instances_v1"))

    proof = rebuild(ledger.log, read_model).proof

    assert (len(proof.differences), proof.differing) == (20, 30)


def test_a_live_projector_follows_the_switch() -> None:
    """The projector of a running service goes on with the new generation, and misses nothing."""
    ledger, read_model = _history()
    live = Projector(ledger.log, read_model)

    rebuild(ledger.log, read_model)
    save(ledger, [[InstanceRenamed(originator_id=ID, originator_version=3, name="after")]])
    handled = [live.run_once() for _ in range(2)]

    assert handled == [0, 1]
    assert shown(Instances(read_model).get(ID, project_id=PROJECT, view=View.SUMMARY))["name"] == "after"
    assert rebuild(ledger.log, read_model).proof.is_equal


@pytest.mark.parametrize("stage", list(RebuildStage))
def test_events_that_come_during_the_rebuild_are_in_it(stage: RebuildStage, tmp_path: Path) -> None:
    """The live projector moves on at any stage; nothing is waited for, nothing is lost, nothing is told as a difference."""
    ledger = save(new_ledger(), [[requested(ID)], operation_history(OPERATION, ID)])
    read_model = ReadModel.open(tmp_path / "read.db", CATALOGUE)
    live = Projector(ledger.log, read_model)
    live.catch_up()
    renamed = iter([InstanceRenamed(originator_id=ID, originator_version=2, name="meanwhile")])

    def meanwhile(progress: RebuildProgress) -> None:
        if progress.stage is stage:
            save(ledger, [list(renamed)[:1]])
            live.run_once()

    rebuilt = rebuild(ledger.log, read_model, meanwhile)

    assert rebuilt.proof.is_equal, rebuilt.proof.differences
    assert rebuilt.position == ledger.log.head() == 12
    seen = shown(Instances(read_model).get(ID, project_id=PROJECT, view=View.SUMMARY))
    assert seen["name"] == "meanwhile"
    read_model.close()


def test_progress_is_told() -> None:
    """Folding by position, comparing by table, and the switch."""
    ledger, read_model = _history()
    told: list[RebuildProgress] = []

    rebuild(ledger.log, read_model, told.append)

    assert told[0] == RebuildProgress(RebuildStage.FOLDING, 15, 15)
    compared = [progress.table for progress in told if progress.stage is RebuildStage.COMPARING]
    assert compared[-2:] == ["timeline", "states"]
    assert told[-1].stage is RebuildStage.SWITCHING


def test_a_left_over_rebuild_is_removed() -> None:
    """One that was interrupted leaves tables behind, the next one takes them away."""
    ledger, read_model = _history()
    with read_model.writing() as connection:
        read_model.add_generation(connection)

    rebuilt = rebuild(ledger.log, read_model)

    with read_model.reading() as connection:
        names = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars()
        generations = {name.rsplit("_v", 1)[1] for name in names if "_v" in name}
    assert generations == {str(rebuilt.generation)}


def test_of_two_rebuilds_the_earlier_stops() -> None:
    """It finds its generation gone, says so, and has switched nothing."""
    ledger, read_model = _history()

    def rival(progress: RebuildProgress) -> None:
        if progress.stage is RebuildStage.FOLDING:
            rebuild(ledger.log, read_model)

    with pytest.raises(Overtaken):
        rebuild(ledger.log, read_model, rival)

    assert rebuild(ledger.log, read_model).proof.is_equal


def test_a_rebuild_by_another_process_reaches_open_readers(tmp_path: Path) -> None:
    """Whoever holds the file open reads the new generation with the next question."""
    ledger = save(new_ledger(), [[requested(ID)]])
    service, tool = (ReadModel.open(tmp_path / "read.db", CATALOGUE) for _ in range(2))
    Projector(ledger.log, service).catch_up()
    instances = Instances(service)
    before = instances.get(ID, project_id=PROJECT, view=View.DETAIL)

    rebuilt = rebuild(ledger.log, tool)

    assert rebuilt.proof.is_equal
    assert instances.get(ID, project_id=PROJECT, view=View.DETAIL) == before
    service.close()
    tool.close()


def test_the_audit_names_an_altered_row_of_one_stream() -> None:
    """Without a rebuild: a single resource is held against its own events."""
    ledger, read_model = _history()
    audit = Audit(ledger.log, CATALOGUE)
    assert audit.check(read_model, ID) == []
    _alter(read_model, "UPDATE instances_v1 SET detail = x'7b7d' WHERE valid_from = 15")

    (difference,) = audit.check(read_model, ID)

    assert str(difference) == f"instances {ID} from 15 to now: altered (detail)"


def test_the_audit_replays_a_stream() -> None:
    """Each event with the state that it led to, and the state as of any position."""
    ledger, _ = _history()
    audit = Audit(ledger.log, CATALOGUE)

    names = [(r.logged.position, r.state.name) for r in audit.replay(ID)]

    assert names == [(1, "orders"), (15, "sales")]
    assert audit.state_at(ID, 14).name == "orders"
    assert audit.state_at(ID, 0) is None


def test_what_nobody_showed_is_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read models that stand still are not proven by what they showed before: nothing equals nothing."""
    monkeypatch.setattr("muniment_projections.rebuild._PATIENCE_S", 0.0)
    ledger, read_model = _history()
    late = UUID("0b5c3c0a-6a43-4a7e-9a35-3f9f2b1d7e12")
    save(ledger, [[requested(late)]])

    rebuilt = rebuild(ledger.log, read_model)

    assert not rebuilt.is_equal
    assert rebuilt.lacking == 1
    assert [difference.kind for difference in rebuilt.proof.differences] == [Disagreement.MISSING] * 2
    assert rebuild(ledger.log, read_model).is_equal


def test_more_than_the_log_holds_is_a_difference() -> None:
    """A log that was put back from an older copy."""
    ledger, read_model = _history()
    short = save(new_ledger(), [[requested(ID)]])

    rebuilt = rebuild(short.log, read_model)

    assert not rebuilt.is_equal
    assert rebuilt.lacking == short.log.head() - ledger.log.head()
    assert read_model.position() == short.log.head()
