"""The server's life: what a probe says is so, and data outlives every stop."""

from muniment.contract import ops
from muniment.contract.kit.client import Client
from muniment.contract.kit.instance import Instance
from muniment.contract.kit.plugin import NewInstance
from muniment.contract.messages import HealthState
from muniment.secret import Secret


def test_installed_version(up: Instance) -> None:
    """The version found is the one asked for, and the one that answers."""
    installed = up.do(ops.SERVER_INSTALL, up.install())

    wanted = up.subject.version.number
    assert (installed.server_version + ".").startswith(wanted + ".")
    assert up.health().server_version == installed.server_version


def test_stopped_means_gone(up: Instance) -> None:
    """The answer to a stop comes after the engine's exit: its port is free at once."""
    for _ in range(3):
        stopped = up.do(ops.SERVER_STOP, ops.StopServer(grace_s=20))

        assert stopped.state is HealthState.STOPPED
        assert up.health().state is HealthState.STOPPED
        assert up.do(ops.SERVER_START, ops.Nothing()).state is HealthState.HEALTHY


def test_bootstrap_adopts(up: Instance) -> None:
    """A bootstrap on a server that is there changes none of its data."""
    if "databases" not in up.subject.manifest.capabilities:
        return
    up.do(ops.DB_CREATE, ops.DatabaseSpec(name="kit_kept"))

    result = up.do(ops.SERVER_BOOTSTRAP, up.bootstrap())

    assert result.health.state is HealthState.HEALTHY
    assert "kit_kept" in up.database_names()


def test_committed_words_survive_a_power_cut(up: Instance, client: Client) -> None:
    """What a client was told is stored is there after agent and engine were killed."""
    password = Secret("kit power'cut")
    up.do(ops.DB_CREATE, ops.DatabaseSpec(name="kit_power"))
    account = ops.Account(name="kit_power")
    up.do(ops.USER_CREATE, ops.UserSpec(account=account, databases=("kit_power",)), {"password": password})
    login = up.login("kit_power", password, "kit_power")
    before = client.words(login)
    client.store(login, "survivor")

    up.bench.cut_power()
    up.come_back()

    assert client.words(login) == [*before, "survivor"]


def test_the_agent_brings_a_dead_engine_back(up: Instance) -> None:
    """After a power cut the engine is started again by the agent alone."""
    up.bench.cut_power()
    up.bench.start_agent()

    assert up.becomes(Instance.is_healthy), up.health()


def test_probe_before_there_is_anything(new_instance: NewInstance) -> None:
    """A probe of a server without data, volume or programs is an answer, not an error."""
    instance = new_instance()

    assert instance.health().state in (HealthState.STOPPED, HealthState.UNKNOWN)
