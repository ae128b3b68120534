"""Statements that are compiled once."""

import gc

import pytest
from sqlalchemy import Column, Integer, LargeBinary, MetaData, String, Table, bindparam, insert, select

from muniment_projections.catalogue import CATALOGUE
from muniment_projections.read_model import ReadModel

_TABLE = Table(
    "notes", MetaData(), Column("id", Integer), Column("name", String), Column("body", LargeBinary)
)
_NAMED = select(_TABLE.c.name, _TABLE.c.body).where(
    _TABLE.c.id == bindparam("id"), _TABLE.c.name != "hidden", _TABLE.c.id != bindparam("id") + 1
)


@pytest.fixture
def read_model() -> ReadModel:
    """One with three notes in it."""
    made = ReadModel.in_memory(CATALOGUE)
    with made.writing() as connection:
        _TABLE.create(connection)
        for number, name in enumerate(("first", "second", "hidden")):
            connection.execute(insert(_TABLE).values(id=number, name=name, body=name.encode()))
    return made


def test_each_question_is_answered_by_its_own_values(read_model: ReadModel) -> None:
    """The values of the first question are not kept for the next; constants of the statement are."""
    found = [read_model.row(_NAMED, {"id": number, "more": None}) for number in (1, 0, 1, 2, 3)]

    assert found == [("second", b"second"), ("first", b"first"), ("second", b"second"), None, None]


def test_a_value_cannot_be_left_out(read_model: ReadModel) -> None:
    """Neither the first time nor later is a value of another question taken for it."""
    read_model.row(_NAMED, {"id": 1})

    with pytest.raises(KeyError):
        read_model.row(_NAMED, {})


def test_more_than_one_row_is_a_bug_of_the_caller(read_model: ReadModel) -> None:
    """Which of them was meant is not guessed."""
    with pytest.raises(AssertionError):
        read_model.row(select(_TABLE.c.name), {})


def test_an_answer_leaves_no_snapshot_open(read_model: ReadModel) -> None:
    """What is written afterwards is seen by the next question on the same connection."""
    assert read_model.row(_NAMED, {"id": 7}) is None
    with read_model.writing() as connection:
        connection.execute(insert(_TABLE).values(id=7, name="late", body=b""))

    assert read_model.row(_NAMED, {"id": 7}) == ("late", b"")


def test_a_statement_that_nobody_keeps_is_let_go(read_model: ReadModel) -> None:
    """Prepared statements do not pile up when a caller makes one for each question."""
    read_model.row(select(_TABLE.c.name).where(_TABLE.c.id == bindparam("id")), {"id": 1})
    gc.collect()

    assert not read_model._often
