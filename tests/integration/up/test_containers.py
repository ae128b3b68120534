"""`muniment up` with databases in containers: PostgreSQL 17 from the image of `make images`, over the REST API."""

import json
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from tests.support.containers import docker_tests
from tests.support.docker_registry import Registry
from tests.support.machine import Machine

IMAGE = "muniment/postgresql:17"
SETTINGS = f"""
[local]
runtime = "docker"
[[local.images]]
datastore = "postgresql"
version = "17"
image = "{IMAGE}"
"""
pytestmark = [
    *docker_tests(IMAGE), pytest.mark.engine, pytest.mark.slow, pytest.mark.usefixtures("engines"),
]  # fmt: skip

_NEW = ("--datastore-version", "17", "--wait")


@pytest.fixture
def docked() -> Iterator[Machine]:
    """A machine whose settings choose containers, up."""
    machine = Machine()
    machine.up("--api", "127.0.0.1:0")
    machine.interrupt()
    with (machine.data / "settings.toml").open("a") as file:
        file.write(SETTINGS)
    machine.up()
    yield machine
    machine.remove()


def test_from_nothing_to_a_restored_database_and_gone(docked: Machine) -> None:
    """Create, SQL, backup, restore, restart, stop and start, delete; nothing is left in Docker."""
    shop = docked.told("instance", "create", "shop", *_NEW, "--database", "shop", "--user", "app")
    line = shop["connect"]
    assert _query(line, "CREATE TABLE kept AS SELECT 42 AS n") == "SELECT 1"
    assert _query(line, "SHOW server_version").startswith("17.")
    (container,) = _containers(shop["id"])

    assert docked.tenant("backup", "create", "shop", "nightly", "--wait").returncode == 0
    copy = docked.told("instance", "create", "copy", *_NEW, "--backup", "nightly")
    password = line.partition(" ")[0]
    assert _query(f"{password} {copy['connect']}", "SELECT n FROM kept") == "42"

    with docked.rest() as rest:
        rest.post(f"/instances/{shop['id']}/action", json={"restart": {}}).raise_for_status()
    docked.wait_for(lambda: _containers(shop["id"]) not in ([], [container]), "another container")
    docked.wait_for(lambda: _query(line, "SELECT n FROM kept") == "42", "the database is back")

    assert docked.operate("down").returncode == 0
    assert _containers(shop["id"]) == _containers(copy["id"]) == []
    docked.up()
    docked.wait_for(lambda: _query(line, "SELECT n FROM kept") == "42", "the database is back after down")

    for name in ("shop", "copy"):
        assert docked.tenant("instance", "delete", name, "--yes", "--wait").returncode == 0
    assert [_left(made["id"]) for made in (shop, copy)] == [[], []]


def test_versions_that_images_have_are_offered(docked: Machine) -> None:
    """17, which no package here has, is there where containers run; a process would not have it."""
    with docked.rest() as rest:
        assert _versions(rest.get("/datastores").json()) == ["17", "18"]
    docked.interrupt()
    text = (docked.data / "settings.toml").read_text()
    (docked.data / "settings.toml").write_text(text.replace('runtime = "docker"', 'runtime = "process"'))
    docked.up()
    with docked.rest() as rest:
        assert _versions(rest.get("/datastores").json()) == ["18"]


@pytest.mark.skipif(shutil.which("docker-registry") is None, reason="takes the program docker-registry")
def test_digest_of_an_image_is_recorded_with_its_version(docked: Machine) -> None:
    """As its registry tells it at the start, and again only when the name means something else."""
    docked.interrupt()
    registry = Registry(docked.folder)
    try:
        digests = [registry.push("17")]
        text = (docked.data / "settings.toml").read_text()
        (docked.data / "settings.toml").write_text(text.replace(IMAGE, f"{registry.repository}:17"))
        for _ in range(2):
            docked.up()
            docked.interrupt()
        digests.append(registry.push("17"))
        docked.up()
    finally:
        registry.remove()

    assert _registered(docked, f"{registry.repository}:17") == digests


def _registered(machine: Machine, image: str) -> list[str]:
    """The digests with which versions of this image were registered, in the order of the log."""
    lines = machine.operate("events", "--output", "json").stdout.splitlines()
    facts = [json.loads(line)["data"] for line in lines]
    return [fact["image_digest"] for fact in facts if fact.get("image") == image]


def _versions(body: dict[str, list[dict[str, list[dict[str, str]]]]]) -> list[str]:
    return [version["name"] for version in body["datastores"][0]["versions"]]


def _containers(instance_id: str) -> list[str]:
    """Ids of the instance's containers that run."""
    return _docker(
        "container", "ls", "--quiet", "--no-trunc", f"--filter=label=muniment.instance={instance_id}"
    )


def _left(instance_id: str) -> list[str]:
    """Whatever Docker still has of an instance."""
    label = f"--filter=label=muniment.instance={instance_id}"
    return [
        *_docker("container", "ls", "--all", "--quiet", label),
        *_docker("network", "ls", "--quiet", label),
    ]


def _docker(*words: str) -> list[str]:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=True).stdout.split()


def _query(line: str, statement: str) -> str:
    """What a connect line, which begins with the password, answers."""
    command = f"{line} -X -A -t -c '{statement}'"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    return done.stdout.strip() or done.stderr.strip()
