"""Enabling and disabling the tenant's superuser of a running instance."""

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from muniment.contract.ops import SUPERUSER_DISABLE, SUPERUSER_ENABLE, Nothing, SuperuserState
from muniment.domain.arguments import SuperuserArguments
from muniment.domain.event import Event
from muniment.domain.instance import SuperuserDisabled, SuperuserEnabled
from muniment.domain.occupancy import Hold
from muniment.domain.operation import SubjectKind
from muniment.operations.faulted import RUNNING_INSTANCE
from muniment.operations.guest_steps import Act
from muniment.operations.scene import Scene
from muniment.operations.steps import NONE, Definition, Step

__all__ = ["DISABLE", "DISABLE_SUPERUSER", "ENABLE_SUPERUSER"]


def _password(scene: Scene) -> Mapping[str, UUID]:
    assert isinstance(scene.arguments, SuperuserArguments)
    return {"password": scene.arguments.secret_ref}


def _nothing(scene: Scene) -> Nothing:
    return Nothing()


def _enabled(scene: Scene, state: SuperuserState) -> Sequence[Event]:
    return [SuperuserEnabled(originator_id=scene.instance.id, originator_version=0)]


def _disabled(scene: Scene, state: SuperuserState) -> Sequence[Event]:
    return [SuperuserDisabled(originator_id=scene.instance.id, originator_version=0)]


DISABLE: Final = Act(SUPERUSER_DISABLE, _nothing, facts=_disabled)
"""Take the superuser away; no failure where there is none."""

ENABLE_SUPERUSER: Final = Definition(
    kind="enable_superuser.1",
    wants="enable the superuser",
    occupies={SubjectKind.INSTANCE: Hold.SHARED},
    steps=(
        Step(
            "enable_superuser",
            Act(SUPERUSER_ENABLE, _nothing, secrets=_password, facts=_enabled),
            undo=NONE("it may have been enabled before, with a password that is nowhere"),
            complaint="the superuser could not be enabled",
        ),
    ),
    ends=RUNNING_INSTANCE,
)

DISABLE_SUPERUSER: Final = Definition(
    kind="disable_superuser.1",
    wants="disable the superuser",
    occupies={SubjectKind.INSTANCE: Hold.SHARED},
    steps=(
        Step(
            "disable_superuser",
            DISABLE,
            undo=NONE("its password is nowhere"),
            complaint="the superuser could not be disabled",
        ),
    ),
    ends=RUNNING_INSTANCE,
)
