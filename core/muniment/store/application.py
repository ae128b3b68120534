"""The library's application, with our mapper and recorder, and nothing read from the environment."""

from typing import Any
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    InfrastructureFactory,
    Mapper,
    ProcessRecorder,
    TrackingRecorder,
)
from eventsourcing.utils import Environment, EnvType

__all__ = ["LedgerApplication"]


class LedgerApplication(Application[UUID]):
    """Saves bare events. Its name is not ours, for the library reads variables by it and `MUNIMENT_…` are settings."""

    name = "ledger"

    def __init__(self, recorder: ApplicationRecorder, mapper: Mapper[UUID]) -> None:
        """Save through `recorder`, with bodies made and read by `mapper`."""
        self._our_recorder = recorder
        self._our_mapper = mapper
        super().__init__()

    def construct_env(self, name: str, env: EnvType | None = None) -> Environment:
        """An empty one: what the process's environment holds is none of the store's business."""
        return Environment(name, env or {})

    def construct_factory(self, env: Environment) -> InfrastructureFactory[Any]:
        """A factory of the one recorder there is."""
        return _Factory(env, self._our_recorder)

    def construct_mapper(self) -> Mapper[UUID]:
        """Our mapper."""
        return self._our_mapper


class _Factory(InfrastructureFactory[TrackingRecorder]):
    def __init__(self, env: Environment, recorder: ApplicationRecorder) -> None:
        super().__init__(env)
        self._recorder = recorder

    def application_recorder(self) -> ApplicationRecorder:
        return self._recorder

    def aggregate_recorder(self, purpose: str = "events") -> AggregateRecorder:
        raise NotImplementedError(f"a ledger keeps no {purpose} beside its log")

    def tracking_recorder(
        self, tracking_recorder_class: type[TrackingRecorder] | None = None
    ) -> TrackingRecorder:
        raise NotImplementedError("projections keep their positions with their rows")

    def process_recorder(self) -> ProcessRecorder:
        raise NotImplementedError("operations are driven by taskmanagers, not by the library's runners")
