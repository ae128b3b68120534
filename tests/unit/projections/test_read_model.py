"""The database of the read models: made, opened again, thrown away."""

from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from tests.support.logs import new_ledger, requested, save
from tests.support.strategies import PROJECT

from muniment.domain.instance import Instance
from muniment.fault import Fault
from muniment_projections.catalogue import CATALOGUE
from muniment_projections.instances import InstanceProjection, Instances
from muniment_projections.projector import Projector
from muniment_projections.read_model import ReadModel
from muniment_projections.row import View

ID = UUID("0b5c3c0a-6a43-4a7e-9a35-3f9f2b1d7e11")
NEWEST_FIRST = "valid_to = 1 ORDER BY created_us DESC, key"


def test_only_its_owner_reads_the_file(tmp_path: Path) -> None:
    """Names are in it in the clear."""
    read_model = ReadModel.open(tmp_path / "read.db", CATALOGUE)
    Projector(save(new_ledger(), [[requested(ID)]]).log, read_model).catch_up()

    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    read_model.close()


def test_what_is_shown_outlives_the_process(tmp_path: Path) -> None:
    """Opened again, the rows and the position are there, and the projector goes on."""
    ledger = save(new_ledger(), [[requested(ID)]])
    first = ReadModel.open(tmp_path / "read.db", CATALOGUE)
    Projector(ledger.log, first).catch_up()
    first.close()
    save(ledger, [[requested(uuid4())]])

    second = ReadModel.open(tmp_path / "read.db", CATALOGUE)
    Projector(ledger.log, second).catch_up()

    page = Instances(second).page(project_id=PROJECT, view=View.SUMMARY)
    assert (len(page.documents), second.position()) == (2, 2)
    second.close()


def test_the_file_may_be_deleted_at_any_time(tmp_path: Path) -> None:
    """It holds nothing that the log does not."""
    ledger = save(new_ledger(), [[requested(ID)]])
    first = ReadModel.open(tmp_path / "read.db", CATALOGUE)
    Projector(ledger.log, first).catch_up()
    before = Instances(first).get(ID, project_id=PROJECT, view=View.DETAIL)
    first.close()
    (tmp_path / "read.db").unlink()

    second = ReadModel.open(tmp_path / "read.db", CATALOGUE)
    Projector(ledger.log, second).catch_up()

    assert Instances(second).get(ID, project_id=PROJECT, view=View.DETAIL) == before
    second.close()


def test_read_models_of_another_form_begin_anew(tmp_path: Path) -> None:
    """A release that shows more builds everything from the log, instead of mixing old rows with new ones."""

    class Newer(InstanceProjection):
        """The same in another form."""

        FORM = InstanceProjection.FORM + 1

    ledger = save(new_ledger(), [[requested(ID)]])
    older = ReadModel.open(tmp_path / "read.db", [InstanceProjection()])
    Projector(ledger.log, older).catch_up()
    older.close()

    newer = ReadModel.open(tmp_path / "read.db", [Newer()])

    assert newer.position() == 0
    Projector(ledger.log, newer).catch_up()
    assert len(Instances(newer).page(project_id=PROJECT, view=View.SUMMARY).documents) == 1
    newer.close()


def test_states_of_another_shape_are_not_read(tmp_path: Path) -> None:
    """A release whose fold keeps more begins anew by itself; nobody has to remember to count `FORM` up."""

    class Fuller(Instance, frozen=True, kw_only=True):
        """A state with one field more."""

        mood: str = "calm"

    class Newer(InstanceProjection):
        """The same over a fuller state."""

        state_type = Fuller

    ledger = save(new_ledger(), [[requested(ID)]])
    older = ReadModel.open(tmp_path / "read.db", [InstanceProjection()])
    Projector(ledger.log, older).catch_up()
    older.close()

    newer = ReadModel.open(tmp_path / "read.db", [Newer()])

    assert newer.position() == 0
    newer.close()


def test_a_file_that_is_no_database_is_one_clear_fault(tmp_path: Path) -> None:
    """And the message says what may be done about it."""
    path = tmp_path / "read.db"
    path.write_text("no database at all, but long enough to look like one" * 20)

    with pytest.raises(Fault, match=r"read\.db.*may be deleted"):
        ReadModel.open(path, CATALOGUE)


def test_a_place_that_cannot_be_written_is_one_clear_fault(tmp_path: Path) -> None:
    """A missing directory, for one."""
    with pytest.raises(Fault, match=r"read\.db"):
        ReadModel.open(tmp_path / "missing" / "read.db", CATALOGUE)


@pytest.mark.parametrize(
    ("question", "index"),
    [
        ("SELECT summary FROM instances WHERE key = 'k' AND valid_to = 1", "sqlite_autoindex"),
        (f"SELECT summary FROM instances WHERE project_id = 'p' AND {NEWEST_FIRST}", "_by_project"),
        (f"SELECT detail FROM operations WHERE instance_id = 'i' AND {NEWEST_FIRST}", "_by_instance_id"),
        (
            "SELECT document FROM timeline WHERE instance_id = 'i' AND position > 1 ORDER BY position",
            "_by_instance",
        ),
    ],
)
def test_common_questions_walk_an_index_and_sort_nothing(question: str, index: str) -> None:
    """A list costs its page, not its table, through the view as well."""
    with ReadModel.in_memory(CATALOGUE).reading() as connection:
        plan = [row.detail for row in connection.execute(text(f"EXPLAIN QUERY PLAN {question}"))]

    assert len(plan) == 1, plan
    assert index in plan[0]
