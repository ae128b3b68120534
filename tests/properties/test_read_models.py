"""Laws of the read models over random logs."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from tests.support.logs import logs, new_ledger, save

from muniment.domain.event import Event
from muniment.domain.instance import INSTANCE, InstanceDeleted, InstanceRequested
from muniment_projections.audit import Audit
from muniment_projections.catalogue import CATALOGUE
from muniment_projections.instances import InstanceProjection, Instances
from muniment_projections.projector import Projector
from muniment_projections.proof import prove
from muniment_projections.read_model import ReadModel
from muniment_projections.rebuild import rebuild
from muniment_projections.row import View

calm = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def contents(read_model: ReadModel) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table of the live generation."""
    with read_model.snapshot() as connection:
        tables = read_model.tables(read_model.live(connection).number)
        every = {**tables.shown, "states": tables.states}
        return {
            name: [
                tuple(row)
                for row in connection.execute(select(table).order_by(*list(table.primary_key.columns)))
            ]
            for name, table in every.items()
        }


@calm
@given(logs(), st.integers(1, 7))
def test_batches_of_every_size_give_the_same_rows(saves: list[list[Event]], size: int) -> None:
    """One event at a time, a few, or the whole log at once: the read models are the same to the byte."""
    ledger = save(new_ledger(), saves)
    whole, parts = ReadModel.in_memory(CATALOGUE), ReadModel.in_memory(CATALOGUE)
    Projector(ledger.log, whole).catch_up()

    Projector(ledger.log, parts).catch_up(limit=size)

    assert contents(parts) == contents(whole)


@calm
@given(logs(), st.integers(1, 7))
def test_a_projector_that_restarts_after_each_batch_forgets_nothing(
    saves: list[list[Event]], size: int
) -> None:
    """What a projector remembers in memory is also in the database."""
    ledger = save(new_ledger(), saves)
    whole, restarted = ReadModel.in_memory(CATALOGUE), ReadModel.in_memory(CATALOGUE)
    Projector(ledger.log, whole).catch_up()

    while Projector(ledger.log, restarted).run_once(limit=size):
        pass

    assert contents(restarted) == contents(whole)


@calm
@given(logs())
def test_a_rebuild_equals_what_grew_live(saves: list[list[Event]]) -> None:
    """Read models that followed each save are the ones that the whole log gives."""
    ledger, read_model = new_ledger(), ReadModel.in_memory(CATALOGUE)
    projector = Projector(ledger.log, read_model)
    for events in saves:
        save(ledger, [events])
        projector.run_once()
    before = contents(read_model)

    rebuilt = rebuild(ledger.log, read_model)

    assert rebuilt.proof.is_equal, rebuilt.proof.differences
    assert rebuilt.position == ledger.log.head()
    assert contents(read_model) == before


@calm
@given(logs())
def test_as_of_shows_what_was_shown_then(saves: list[list[Event]]) -> None:
    """Asked as of any position, an instance looks exactly as it looked when the log ended there."""
    ledger = save(new_ledger(), saves)
    read_model = ReadModel.in_memory(CATALOGUE)
    Projector(ledger.log, read_model).catch_up()
    instances, projection = Instances(read_model), InstanceProjection()
    states: dict[object, object] = {}

    for logged in ledger.log.read(0, 1000):
        stream = logged.event.originator_id
        if stream not in states and not isinstance(logged.event, InstanceRequested):
            continue
        states[stream] = INSTANCE.fold(states.get(stream), [logged.event])  # type: ignore[arg-type]
        rows = projection.rows(states[stream])  # type: ignore[arg-type]
        expected = rows[0].documents[View.DETAIL] if rows else None
        assert instances.get(stream, project_id=None, view=View.DETAIL, as_of=logged.position) == expected
        assert bool(rows) is not isinstance(logged.event, InstanceDeleted)


@calm
@given(logs(), st.data())
def test_two_generations_agree_up_to_any_position(saves: list[list[Event]], data: st.DataObject) -> None:
    """The proof holds as of a position that the live side has left behind, so a rebuild never has to stop it."""
    ledger = save(new_ledger(), saves)
    read_model = ReadModel.in_memory(CATALOGUE)
    Projector(ledger.log, read_model).catch_up()
    position = data.draw(st.integers(0, ledger.log.head()))
    with read_model.writing() as connection:
        number = read_model.add_generation(connection).number

    Projector(ledger.log, read_model, generation=number).catch_up(until=position)

    with read_model.snapshot() as connection:
        found, expected = read_model.tables(number - 1), read_model.tables(number)
        proof = prove(connection, found, expected, position, with_states=False)
    assert proof.is_equal, proof.differences


@calm
@given(logs())
def test_the_audit_finds_nothing_in_honest_rows(saves: list[list[Event]]) -> None:
    """Each stream's rows are what a replay of that stream alone gives."""
    ledger = save(new_ledger(), saves)
    read_model = ReadModel.in_memory(CATALOGUE)
    Projector(ledger.log, read_model).catch_up()
    audit = Audit(ledger.log, CATALOGUE)

    streams = {logged.event.originator_id for logged in ledger.log.read(0, 1000)}

    assert [d for stream in streams for d in audit.check(read_model, stream)] == []
