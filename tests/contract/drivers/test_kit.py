"""The conformance kit, as a driver's author runs it: our driver keeps every rule, and drivers that break one are found."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.containers import docker_tests
from tests.support.runtimes import IMAGE
from tests.support.scratch import scratch, short_directory

from muniment.contract.kit import rules
from muniment.contract.kit.cases import CASES
from muniment.contract.ops import OPS, OpClass

RULES = Path(str(rules.__file__)).parent
CLIENT = "tests.support.postgresql_client:PostgresqlClient"
TIME_LIMIT_S = 1500
"""On two busy cores; alone the longest takes a fifth of it."""

pytestmark = [pytest.mark.engine, pytest.mark.timeout(TIME_LIMIT_S + 60)]


@pytest.fixture(scope="module")
def kept() -> Iterator[Path]:
    """The engine's programs and first data directory, made once for all runs."""
    with short_directory() as folder:
        yield folder


def _placed(kept: Path) -> tuple[str, ...]:
    return (f"--instances={scratch()}", f"--kept={kept}")


def _run(driver: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        [
            sys.executable, "-m", "pytest", "-p", "muniment.contract.kit", "-n0", "-q",
            "--driver", driver, "--client", CLIENT, *arguments,
        ],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=TIME_LIMIT_S,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("control.py", "capabilities.py", "core.py"), id="core"),
        pytest.param(("databases.py",), id="databases"),
        pytest.param(("users.py", "superuser.py"), id="users"),
        pytest.param(("protocol.py", "-k", "db.create"), id="protocol-of-one-op"),
    ],
)
def test_postgresql(kept: Path, arguments: tuple[str, ...]) -> None:
    """Our own driver keeps the rules of the contract on a real engine; `make kit` tries all of them."""
    paths = [str(RULES / argument) if argument.endswith(".py") else argument for argument in arguments]

    ended = _run("postgresql", *_placed(kept), *paths)

    assert ended.returncode == 0, ended.stdout[-8000:] + ended.stderr[-2000:]
    assert re.search(r"^\d+ passed", ended.stdout, re.MULTILINE)
    assert "skipped" not in ended.stdout.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize("place", [pytest.param("/tmp", marks=docker_tests(IMAGE))])
def test_postgresql_in_containers(kept: Path, place: str) -> None:
    """The same rules hold in a container, with PostgreSQL 17; `make kit` with `--runtime docker` tries all of them."""
    chosen = ("--runtime=docker", f"--image={IMAGE}", "--datastore-version=17")
    paths = [str(RULES / name) for name in ("core.py", "superuser.py")]

    ended = _run("postgresql", f"--instances={place}", f"--kept={kept}", *chosen, *paths)

    assert ended.returncode == 0, ended.stdout[-8000:] + ended.stderr[-2000:]
    assert re.search(r"^\d+ passed", ended.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("mutant", "rule"),
    [
        ("LYING", "capabilities.py::test_guest_half_is_whole"),
        ("PRETENDING", "capabilities.py::test_unclaimed_ops_are_unsupported[superuser.status]"),
        ("FORGETFUL", "users.py::test_revoked_is_out"),
        ("ONCE", "protocol.py::test_again[db.create]"),
        ("HASTY", "core.py::test_stopped_means_gone"),
        ("CARELESS", "backups.py::test_round_trip"),
        ("SLOPPY", "control.py::test_only_refusals['\\\\udc80']"),
    ],
)
def test_mutants_are_found(kept: Path, mutant: str, rule: str) -> None:
    """A driver that breaks a promise fails the rule that keeps it."""
    ended = _run(f"tests.support.mutant_drivers:{mutant}", *_placed(kept), f"{RULES}/{rule}", "-rf")

    assert ended.returncode == pytest.ExitCode.TESTS_FAILED, ended.stdout[-8000:] + ended.stderr[-2000:]
    assert re.search(r"^FAILED .*" + re.escape(rule), ended.stdout, re.MULTILINE), ended.stdout[-4000:]


@pytest.mark.parametrize(
    ("driver", "reason"),
    [
        ("oracle", "no driver 'oracle' is installed; there are: postgresql"),
        ("tests.no_such_module:X", "tests.no_such_module:X cannot be imported"),
        ("tests.support.sample_drivers:Control", "is no Manifest"),
        ("tests.support.sample_drivers:UNHEARD_OF", "the capability 'telepathy' is none of this contract"),
    ],
)
def test_what_cannot_be_tested(driver: str, reason: str) -> None:
    """A driver that is not there, or that no host would load, ends the run with the reason and code 4."""
    ended = _run(driver)

    assert ended.returncode == pytest.ExitCode.USAGE_ERROR
    assert reason in ended.stderr
    assert "Traceback" not in ended.stderr


def test_without_paths_every_rule_is_tried() -> None:
    """The command in the guide and in the Makefile names no files, and leaves none out."""
    ended = _run("postgresql", "--collect-only")

    collected = {Path(line.partition("::")[0]).name for line in ended.stdout.splitlines() if "::" in line}
    assert collected == {path.name for path in RULES.glob("[!_]*.py")}


def test_every_op_that_changes_something_has_a_case() -> None:
    """No op opts out of the rules of the protocol; the restore, which needs two servers, has rules of its own."""
    changing = {name for name, op in OPS.items() if op.kind is not OpClass.QUERY}

    assert changing - {case.op.name for case in CASES} == {"restore.apply"}


def test_without_a_driver_the_plugin_is_silent() -> None:
    """Loaded into another test run, the plugin changes nothing of it."""
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "muniment.contract.kit", "-n0", "-q", "tests/unit/contract"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    assert ended.returncode == 0, ended.stdout[-3000:]
