"""Definitions are data, and this is what must be true of all of them."""

from dataclasses import replace
from random import Random
from uuid import UUID

import pytest
from tests.simulation.chance import Chance
from tests.simulation.cloud import SimulatedObjects
from tests.simulation.control_driver import SimulatedControl
from tests.support.strategies import FLAVOR, VERSION

from muniment.contract.ops import OPS
from muniment.domain.accounts import WantedDatabase, WantedUser
from muniment.domain.arguments import NoArguments
from muniment.domain.instance import INSTANCE, InstanceRequested
from muniment.operations.catalogue import CATALOGUE
from muniment.operations.cloud_steps import Ensure, Remove
from muniment.operations.create_instance import CREATE_INSTANCE, filesystem_uuid
from muniment.operations.guest_steps import Act, Job
from muniment.operations.object_steps import RemoveObjects
from muniment.operations.scene import Knowledge, Scene
from muniment.operations.steps import NONE, Definition, Each, Step
from muniment.operations.timing import Timing
from muniment.operations.volume_steps import Extend

CONTROL = SimulatedControl()
KNOWLEDGE = Knowledge(lambda datastore: CONTROL, SimulatedObjects(Chance(Random(1))), Timing())


def scene(databases: int = 0, users: int = 0, backup_id: UUID | None = None) -> Scene:
    """A new instance, as its create operation sees it."""
    requested = InstanceRequested(
        originator_id=UUID(int=1),
        originator_version=1,
        project_id="project-1",
        name="one",
        flavor=FLAVOR,
        volume_size_gib=2,
        datastore=VERSION,
        databases=tuple(WantedDatabase(name=f"d{n}") for n in range(databases)),
        users=tuple(WantedUser(name=f"u{n}", secret_ref=UUID(int=n)) for n in range(users)),
        backup_id=backup_id,
    )
    return Scene(
        operation_id=UUID(int=2),
        arguments=NoArguments(),
        knowledge=KNOWLEDGE,
        now_s=0.0,
        found_instance=INSTANCE.fold(None, [requested]),
        found_backup=None,
    )


def all_steps(definition: Definition) -> list[Step]:
    """The steps of a definition, one for each group."""
    wanted = {
        "create_database": WantedDatabase(name="d"),
        "create_user": WantedUser(name="u", secret_ref=UUID(int=1)),
    }
    return [
        replace(part.step(wanted[part.name]), name=part.name) if isinstance(part, Each) else part
        for part in definition.steps
    ]


def test_a_group_becomes_one_step_an_item_one_after_the_other() -> None:
    """Three databases are three steps in a row, and users come after the last of them."""
    placed = {step.name: step.after for step in CREATE_INSTANCE.place(scene(databases=3, users=2))}
    assert placed["create_database_1"] == ("bootstrap",)
    assert placed["create_database_3"] == ("create_database_2",)
    assert placed["create_user_1"] == ("create_database_3",)
    assert placed["create_user_2"] == ("create_user_1",)


def test_what_an_operation_does_not_have_is_passed_over() -> None:
    """Without a backup and databases, bootstrap follows the preparation and users follow bootstrap."""
    placed = {step.name: step.after for step in CREATE_INSTANCE.place(scene(users=1))}
    assert "restore_backup" not in placed
    assert set(placed["bootstrap"]) == {"prepare_volume", "install_server"}
    assert placed["create_user_1"] == ("bootstrap",)


def test_a_restore_comes_between_preparation_and_bootstrap() -> None:
    """With a backup there is one step more, and bootstrap waits for it."""
    placed = {step.name: step.after for step in CREATE_INSTANCE.place(scene(backup_id=UUID(int=9)))}
    assert set(placed["restore_backup"]) == {"prepare_volume", "install_server"}
    assert "restore_backup" in placed["bootstrap"]


def test_a_restore_takes_the_superuser_of_the_backup_away() -> None:
    """Before anything else is done in the new instance; an instance that is not restored has none."""
    placed = {
        step.name: step.after for step in CREATE_INSTANCE.place(scene(backup_id=UUID(int=9), databases=1))
    }
    assert placed["disable_superuser"] == ("bootstrap",)
    assert placed["create_database_1"] == ("disable_superuser",)
    assert "disable_superuser" not in {step.name for step in CREATE_INSTANCE.place(scene(databases=1))}


@pytest.mark.parametrize("definition", CATALOGUE.values(), ids=CATALOGUE)
def test_steps_stand_in_an_order_that_fits(definition: Definition) -> None:
    """Names are unique and each step comes after those it names."""
    seen: list[str] = []
    for part in definition.steps:
        assert part.name not in seen
        assert set(part.after) <= set(seen)
        seen.append(part.name)


@pytest.mark.parametrize("definition", CATALOGUE.values(), ids=CATALOGUE)
def test_every_step_can_say_why_it_failed_and_how_it_is_undone(definition: Definition) -> None:
    """A step has a complaint for its owner, an undo or a reason for none, and an end, unless it removes or extends something."""
    assert definition.kind.rpartition(".")[2].isdigit()
    for step in all_steps(definition):
        assert step.complaint
        assert not isinstance(step.undo, NONE) or step.undo.reason
        if isinstance(step.kind, Remove | RemoveObjects | Extend):
            assert step.deadline_s is None
        elif not isinstance(step.kind, Act | Job):
            assert step.deadline_s is not None


@pytest.mark.parametrize("definition", CATALOGUE.values(), ids=CATALOGUE)
def test_what_is_ensured_is_removed_by_its_undo(definition: Definition) -> None:
    """The undo of an Ensure removes the same role."""
    for step in all_steps(definition):
        if isinstance(step.kind, Ensure):
            assert step.undo == Remove(step.kind.role)


def test_commands_are_ops_of_the_contract() -> None:
    """An operation asks a guest for nothing that the contract does not have."""
    ops = [s.kind.op for d in CATALOGUE.values() for s in all_steps(d) if isinstance(s.kind, Act | Job)]
    assert ops
    assert all(OPS[op.name] is op for op in ops)


def test_a_volume_is_known_by_its_filesystem_for_ever() -> None:
    """The UUID follows from the volume's id alone; another one would have the agent refuse every volume there is."""
    assert filesystem_uuid("volume-1") == UUID("914ded4a-e901-508b-b03d-2a1580380d6f")
