"""The kills leave nothing of the catalogue out, and would say so."""

from tests.kills.matrix import missing_kinds, missing_steps
from tests.kills.scenarios import SCENARIOS

from muniment.operations.catalogue import CATALOGUE


def test_every_kind_of_operation_has_a_scenario() -> None:
    """A new operation must be killed, too."""
    assert missing_kinds() == set()


def test_a_kind_without_a_scenario_is_told() -> None:
    """Taking one out is noticed."""
    assert missing_kinds([one for one in SCENARIOS if one.kind != "restart_instance.1"]) == {
        "restart_instance.1"
    }


def test_steps_that_no_scenario_had_are_told() -> None:
    """Also those of groups, of which the first counts."""
    steps = {
        kind: {f"{part.name}{end}" for part in one.steps for end in ("", "_1")}
        for kind, one in CATALOGUE.items()
    }
    assert missing_steps(steps) == set()
    steps["create_instance.1"] -= {"restore_backup", "create_user_1"}
    assert missing_steps(steps) == {"create_instance.1: restore_backup", "create_instance.1: create_user_1"}
