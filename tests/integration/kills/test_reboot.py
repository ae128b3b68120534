"""After a reboot of the host everything is back, and what was under way goes on."""

import pytest
from tests.kills.matrix import agree
from tests.kills.power import cut_power
from tests.kills.stage import PASSWORD, Stage, eventually

pytestmark = [pytest.mark.engine, pytest.mark.slow]


def test_databases_come_back_by_themselves(stage: Stage) -> None:
    """The database runs again with its data, under the same address and port, once, and nothing is wrong."""
    endpoints, before = stage.instance(stage.base)["endpoints"], stage.existing(stage.base)
    with cut_power(stage.machine):
        assert stage.existing(stage.base).engines == 0
        stage.start()
        eventually(lambda: stage.can_log_in(stage.base, "app", PASSWORD), "the database answers", 90)
    assert stage.kept_rows(stage.base) > 0
    assert stage.instance(stage.base)["endpoints"] == endpoints
    eventually(lambda: stage.existing(stage.base) == before, lambda: f"{stage.existing(stage.base)}")
    eventually(lambda: stage.instance(stage.base)["operating_status"] == "HEALTHY", "it is healthy")
    agree(stage.machine)


def test_operations_go_on(stage: Stage) -> None:
    """A creation and a backup that were under way end well, and nothing of them is there twice."""
    position = stage.watch.head()
    stage.ask("POST", "/backups", {"backup": {"name": "interrupted", "instance": stage.base}})
    stage.ask("POST", "/instances", {"instance": stage.instance_body("young")})
    for kind, step in (("create_backup.1", "upload"), ("create_instance.1", "install_server")):
        eventually(lambda: _has_begun(stage, position, kind, step), f"{kind} begins {step}")  # noqa: B023
    with cut_power(stage.machine):
        stage.start()
        stage.wait_quiet()
    backup, young = stage.backup_named("interrupted"), stage.instance_named("young")
    assert (backup["status"], young["status"]) == ("COMPLETED", "ACTIVE"), stage.machine.operate(
        "events"
    ).stdout
    eventually(lambda: stage.existing(young["id"]) == stage.existing(stage.base), "there is one of each")
    assert stage.can_log_in(young["id"], "app", PASSWORD)
    agree(stage.machine)


def _has_begun(stage: Stage, position: int, kind: str, step: str) -> bool:
    operation = stage.watch.started(position, kind)
    return operation is not None and stage.watch.begun(operation.originator_id, step) is not None
