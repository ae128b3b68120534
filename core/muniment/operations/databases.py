"""Creating and dropping databases of a running instance."""

from collections.abc import Callable, Sequence
from typing import Final

from muniment.contract.ops import DB_CREATE, DB_DROP, DatabaseSpec, DropDatabase, Nothing
from muniment.domain.accounts import WantedDatabase
from muniment.domain.arguments import DatabasesArguments, DropDatabaseArguments
from muniment.domain.event import Event
from muniment.domain.instance import DatabaseCreated, DatabaseDropped
from muniment.domain.occupancy import Hold
from muniment.domain.operation import SubjectKind
from muniment.operations.faulted import RUNNING_INSTANCE
from muniment.operations.guest_steps import Act
from muniment.operations.scene import Scene
from muniment.operations.steps import NONE, Definition, Each, Step

__all__ = ["CREATE_DATABASES", "DROP_DATABASE", "create_database"]


def create_database(undo: NONE) -> Callable[[WantedDatabase], Step]:
    """The step that creates one database; `undo` says why it is not undone."""

    def step(wanted: WantedDatabase) -> Step:
        def spec(scene: Scene) -> DatabaseSpec:
            return DatabaseSpec(name=wanted.name, character_set=wanted.character_set, collate=wanted.collate)

        def created(scene: Scene, result: Nothing) -> Sequence[Event]:
            return [DatabaseCreated(originator_id=scene.instance.id, originator_version=0, name=wanted.name)]

        return Step(
            "create_database",
            Act(DB_CREATE, spec, facts=created),
            undo=undo,
            complaint="a database could not be created",
        )

    return step


def _wanted(scene: Scene) -> Sequence[WantedDatabase]:
    assert isinstance(scene.arguments, DatabasesArguments)
    return scene.arguments.databases


def _doomed(scene: Scene) -> str:
    assert isinstance(scene.arguments, DropDatabaseArguments)
    return scene.arguments.name


def _dropped(scene: Scene, result: Nothing) -> Sequence[Event]:
    return [DatabaseDropped(originator_id=scene.instance.id, originator_version=0, name=_doomed(scene))]


CREATE_DATABASES: Final = Definition(
    kind="create_databases.1",
    wants="create the databases",
    occupies={SubjectKind.INSTANCE: Hold.SHARED},
    steps=(
        Each(
            "create_database",
            items=_wanted,
            step=create_database(NONE("a database that exists may hold data by now")),
        ),
    ),
    ends=RUNNING_INSTANCE,
)

DROP_DATABASE: Final = Definition(
    kind="drop_database.1",
    wants="drop the database",
    occupies={SubjectKind.INSTANCE: Hold.SHARED},
    steps=(
        Step(
            "drop_database",
            Act(DB_DROP, lambda scene: DropDatabase(name=_doomed(scene)), facts=_dropped),
            undo=NONE("what is dropped is gone"),
            complaint="the database could not be dropped",
        ),
    ),
    ends=RUNNING_INSTANCE,
)
