"""Read models that somebody took away: readers hear so, and their keeper builds them anew from the log."""

from pathlib import Path
from uuid import UUID

import pytest
from tests.support.logs import new_ledger, requested, save
from tests.support.strategies import PROJECT

from muniment.store.ledger import Ledger
from muniment_projections.catalogue import CATALOGUE
from muniment_projections.instances import InstanceProjection, Instances
from muniment_projections.keeper import Keeper
from muniment_projections.projector import Projector
from muniment_projections.read_model import ReadModel, ReadModelMissing, ReadModelOfAnotherRelease
from muniment_projections.row import View
from muniment_projections.waiting import Arrivals

ID = UUID("0b5c3c0a-6a43-4a7e-9a35-3f9f2b1d7e11")
OTHER = UUID("0b5c3c0a-6a43-4a7e-9a35-3f9f2b1d7e12")


class Newer(InstanceProjection):
    """What another release shows."""

    FORM = InstanceProjection.FORM + 1


def _kept(path: Path) -> tuple[Ledger, ReadModel, Keeper, Arrivals]:
    ledger = save(new_ledger(), [[requested(ID)]])
    read_model = ReadModel.open(path, CATALOGUE)
    arrivals = Arrivals(read_model)
    keeper = Keeper(ledger.log, read_model, arrivals)
    keeper.catch_up()
    return ledger, read_model, keeper, arrivals


def _listed(read_model: ReadModel) -> int:
    return len(Instances(read_model).page(project_id=PROJECT, view=View.SUMMARY).documents)


def test_a_reader_of_another_release_changes_nothing(tmp_path: Path) -> None:
    """It is told that it cannot read them; those who can go on."""
    _, read_model, keeper, _ = _kept(tmp_path / "read.db")

    with pytest.raises(ReadModelOfAnotherRelease):
        ReadModel.existing(tmp_path / "read.db", [Newer()])

    assert _listed(read_model) == 1
    assert keeper.run_once() == 0


def test_a_reader_makes_no_file(tmp_path: Path) -> None:
    """An empty one would be believed."""
    with pytest.raises(ReadModelMissing):
        ReadModel.existing(tmp_path / "read.db", CATALOGUE)

    assert list(tmp_path.iterdir()) == []


def test_another_reader_sees_what_is_kept(tmp_path: Path) -> None:
    """Another process, that is."""
    _kept(tmp_path / "read.db")

    assert _listed(ReadModel.existing(tmp_path / "read.db", CATALOGUE)) == 1


def test_a_deleted_file_is_made_anew(tmp_path: Path) -> None:
    """The design says that it may be deleted at any time; also under the one who keeps it."""
    ledger, read_model, keeper, arrivals = _kept(tmp_path / "read.db")
    for file in tmp_path.iterdir():
        file.unlink()
    save(ledger, [[requested(OTHER)]])

    assert keeper.run_once() == ledger.log.head() == 2

    assert _listed(read_model) == _listed(ReadModel.existing(tmp_path / "read.db", CATALOGUE)) == 2
    assert arrivals.wait_for(2, 0)
    assert keeper.run_once() == 0


def test_tables_that_another_release_replaced_are_made_anew(tmp_path: Path) -> None:
    """Nobody reads an empty list meanwhile."""
    ledger, read_model, keeper, arrivals = _kept(tmp_path / "read.db")
    ReadModel.open(tmp_path / "read.db", [Newer()]).close()
    save(ledger, [[requested(OTHER)]])

    assert not arrivals.wait_for(2, 0), "another release's position says nothing about these"
    assert keeper.run_once() == 2

    assert _listed(read_model) == 2


def test_what_is_half_built_is_missing(tmp_path: Path) -> None:
    """From the moment it is taken away to the moment it tells the whole log."""
    _, read_model, keeper, _ = _kept(tmp_path / "read.db")

    read_model.renew()

    with pytest.raises(ReadModelMissing):
        _listed(read_model)
    with pytest.raises(ReadModelMissing):
        Instances(read_model).get(ID, project_id=PROJECT, view=View.DETAIL)
    assert keeper.run_once() == 1  # also when whoever began it was killed
    assert _listed(read_model) == 1


def test_somebody_else_who_moves_them_is_no_end(tmp_path: Path) -> None:
    """A reader brings them up to date in the moment in which the control plane starts."""
    ledger, read_model, keeper, _ = _kept(tmp_path / "read.db")
    save(ledger, [[requested(OTHER)]])
    Projector(ledger.log, ReadModel.existing(tmp_path / "read.db", CATALOGUE)).catch_up()

    assert keeper.run_once() == 0
    assert keeper.run_once() == 0

    assert _listed(read_model) == 2
