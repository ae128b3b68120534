"""The usual ends of an operation on a running instance."""

from typing import Final

from muniment.domain.instance import OperationFaulted
from muniment.operations.scene import Scene
from muniment.operations.steps import Ending, Endings, Failure

__all__ = ["RUNNING_INSTANCE", "faulted"]


def succeeded(scene: Scene) -> Ending:
    """The facts along the way have said it."""
    return Ending()


def faulted(scene: Scene, failure: Failure) -> Ending:
    """The instance goes on as before, with a message for its owner."""
    fault = OperationFaulted(
        originator_id=scene.instance.id,
        originator_version=0,
        message=failure.message,
        details=failure.details,
    )
    return Ending([fault])


RUNNING_INSTANCE: Final = Endings(succeeded=succeeded, failed=faulted)
"""For operations whose failure leaves the instance as it was."""
