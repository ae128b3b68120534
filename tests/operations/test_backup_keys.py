"""Every backup has a data key of its own, which the project's key seals and its deletion destroys."""

from random import Random

import pytest
from tests.operations.cases import completed_backup, running_instance
from tests.simulation.chance import Chance
from tests.simulation.requests import Requests
from tests.simulation.world import World

from muniment.domain.event import About
from muniment.domain.refused import Refused
from muniment.fault import Fault
from muniment.secrets.personal import PROJECT_KEY
from muniment.store.writes import DeleteKey, PutKey

ABOUT = About(project_id="project-1", actor="user:1")


@pytest.fixture
def world() -> World:
    """A calm one."""
    return World(Chance(Random(5)), task_managers=1, couriers=1)


def test_the_key_that_was_made_is_the_key_that_is_opened(world: World) -> None:
    """Sealed into its row, and out of it again."""
    running_instance(world)
    backup_id = world.new_id()
    with world.ledger.reading() as reader:
        made = world.backup_keys.new(reader, "project-1", backup_id)
    world.ledger.save([], ABOUT, writes=[made.kept])
    with world.ledger.reading() as reader:
        opened = world.backup_keys.open(reader, "project-1", backup_id)
    assert opened.reveal() == made.key.reveal()
    assert made.key.reveal() not in made.kept.wrapped
    assert len(made.key_id) == 16


def test_two_backups_have_two_keys(world: World) -> None:
    """None says anything about another."""
    running_instance(world)
    with world.ledger.reading() as reader:
        one, two = (world.backup_keys.new(reader, "project-1", world.new_id()) for _ in range(2))
    assert one.key.reveal() != two.key.reveal()
    assert one.key_id != two.key_id


def test_a_key_opens_only_for_its_own_backup(world: World) -> None:
    """A row that is moved to another backup is refused."""
    running_instance(world)
    backup_id, other_id = world.new_id(), world.new_id()
    with world.ledger.reading() as reader:
        made = world.backup_keys.new(reader, "project-1", backup_id)
    moved = PutKey(made.kept.purpose, str(other_id), 1, made.kept.wrapped)
    world.ledger.save([], ABOUT, writes=[moved])
    with world.ledger.reading() as reader, pytest.raises(Fault, match="altered or moved"):
        world.backup_keys.open(reader, "project-1", other_id)


def test_a_deleted_backup_has_no_key(world: World) -> None:
    """The deletion destroys it; whoever kept the objects keeps noise."""
    backup_id = completed_backup(world)
    world.quietly(lambda: Requests(world).delete_backup(world.backup(backup_id)))
    with world.ledger.reading() as reader, pytest.raises(Refused, match="destroyed"):
        world.backup_keys.open(reader, "project-1", backup_id)


def test_an_erased_project_has_no_backups(world: World) -> None:
    """With the project's key all its data keys are gone."""
    backup_id = completed_backup(world)
    world.ledger.save([], ABOUT, writes=[DeleteKey(PROJECT_KEY, "project-1")])
    with world.ledger.reading() as reader, pytest.raises(Refused, match="destroyed"):
        world.backup_keys.open(reader, "project-1", backup_id)
