"""Restarting the engine of an instance."""

from collections.abc import Sequence
from typing import Final

from muniment.contract.messages import Health
from muniment.contract.ops import SERVER_RESTART, StopServer
from muniment.domain.event import Event
from muniment.domain.guest import health_reported
from muniment.domain.occupancy import Hold
from muniment.domain.operation import SubjectKind
from muniment.operations.faulted import RUNNING_INSTANCE
from muniment.operations.guest_steps import Act
from muniment.operations.scene import Scene
from muniment.operations.steps import NONE, Definition, Step

__all__ = ["RESTART_INSTANCE"]

_GRACE_S: Final = 30.0
"""How long the engine has to stop by itself; half of what the op may take, so that the start fits in."""


def _stop(scene: Scene) -> StopServer:
    return StopServer(grace_s=_GRACE_S)


def _answers(scene: Scene, health: Health) -> Sequence[Event]:
    return health_reported(scene.instance, health.state, health.detail)


RESTART_INSTANCE: Final = Definition(
    kind="restart_instance.1",
    wants="restart the instance",
    occupies={SubjectKind.INSTANCE: Hold.EXCLUSIVE},
    steps=(
        Step(
            "restart_server",
            Act(SERVER_RESTART, _stop, facts=_answers),
            undo=NONE("a restart takes nothing away"),
            complaint="the database did not restart",
        ),
    ),
    ends=RUNNING_INSTANCE,
)
