"""The pytest side of the kit: options, which rules apply to a driver, and the instances that they share."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from itertools import count
from pathlib import Path
from pkgutil import resolve_name

import pytest

from muniment.contract.kit.cases import CASES
from muniment.contract.kit.client import Client
from muniment.contract.kit.instance import Instance
from muniment.contract.kit.subject import Subject, Terms, UnusableDriver, find_subject
from muniment.contract.kit.workbench import OpenWorkbench, find_workbench

__all__ = [
    "NewInstance", "client", "machine", "new_instance", "pytest_addoption", "pytest_collection_modifyitems", "pytest_configure",
    "pytest_generate_tests", "shared", "subject", "up",
]  # fmt: skip

NewInstance = Callable[[], Instance]

_RULES = Path(__file__).parent / "rules"
_SUBJECT = pytest.StashKey[Subject]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--driver`, `--client`, and where the kit puts what it makes."""
    group = parser.getgroup("muniment", "conformance kit for Muniment drivers")
    group.addoption(
        "--driver", help="the driver to test: an installed one's name, or package.module:MANIFEST"
    )
    group.addoption("--client", help="package.module:Class of a tenant's client of the datastore")
    group.addoption(
        "--instances",
        default="/tmp",  # noqa: S108 - the directory made in it is our own
        metavar="DIR",
        help="where the instances live, a short path; /dev/shm is faster for engines that run as processes",
    )
    group.addoption(
        "--kept",
        metavar="DIR",
        help="where programs and other costly things are kept for later runs; without it, they are made anew",
    )
    group.addoption(
        "--runtime", default="process", choices=("process", "docker"), help="what the engine runs in"
    )
    group.addoption(
        "--image", help="with --runtime docker: the image, in place of the one that the manifest names"
    )
    group.addoption("--datastore-version", help="the version to test, by its name; the default one otherwise")


def pytest_configure(config: pytest.Config) -> None:
    """With a driver and without other files, the rules are what is run."""
    config.addinivalue_line("markers", "capability(name): the rule is for drivers that claim this capability")
    name: str | None = config.getoption("--driver")
    if name is None:
        return
    try:
        terms = Terms(
            config.getoption("--runtime"),
            config.getoption("--datastore-version"),
            config.getoption("--image"),
        )
        config.stash[_SUBJECT] = find_subject(name, terms)
    except UnusableDriver as error:
        raise pytest.UsageError(str(error)) from error
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args = [str(path) for path in sorted(_RULES.glob("[!_]*.py"))]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each rule of the protocol is run for each op that the driver has."""
    if "case" in metafunc.fixturenames and _SUBJECT in metafunc.config.stash:
        claimed = metafunc.config.stash[_SUBJECT].manifest.capabilities
        cases = [case for case in CASES if case.op.capability in claimed]
        metafunc.parametrize("case", cases, ids=str)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the rules of capabilities that the driver does not claim: they are not its business."""
    if _SUBJECT not in config.stash:
        return
    claimed = config.stash[_SUBJECT].manifest.capabilities
    kept: list[pytest.Item] = []
    dropped: list[pytest.Item] = []
    for item in items:
        marker = item.get_closest_marker("capability")
        (kept if marker is None or marker.args[0] in claimed else dropped).append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=dropped)


@pytest.fixture(scope="session")
def subject(pytestconfig: pytest.Config) -> Subject:
    """The driver under test."""
    if _SUBJECT not in pytestconfig.stash:
        pytest.fail("give the driver to test with --driver")
    return pytestconfig.stash[_SUBJECT]


@pytest.fixture(scope="session")
def client(pytestconfig: pytest.Config) -> Client:
    """The tenant's client; rules that log in are skipped without one."""
    name: str | None = pytestconfig.getoption("--client")
    if name is None:
        pytest.skip("give a client of the datastore with --client to try this")
    made: Client = resolve_name(name)()
    return made


@pytest.fixture(scope="session")
def machine(subject: Subject, pytestconfig: pytest.Config) -> Iterator[NewInstance]:
    """Makes instances for the whole run, in short directories: a socket's path has little room."""
    open_workbench: OpenWorkbench = find_workbench()
    place: str = pytestconfig.getoption("--instances")
    kept: str | None = pytestconfig.getoption("--kept")
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mk", dir=place)))
        root.chmod(0o711)
        cache = Path(kept) if kept is not None else root / "cache"
        numbers = count(1)

        def new() -> Instance:
            folder = root / str(next(numbers))
            folder.mkdir(mode=0o711)
            folder.chmod(0o711)
            bench = stack.enter_context(closing(open_workbench(folder, subject, cache=cache)))
            return Instance(bench, subject)

        yield new


@pytest.fixture
def new_instance(machine: NewInstance) -> Iterator[NewInstance]:
    """Makes instances that have nothing but an agent; each is torn down at the end of the rule."""
    made: list[Instance] = []

    def new() -> Instance:
        made.append(machine())
        return made[-1]

    yield new
    for instance in made:
        instance.bench.close()
        shutil.rmtree(instance.bench.folder)


@pytest.fixture(scope="session")
def shared(machine: NewInstance) -> Instance:
    """The instance behind `up`."""
    instance = machine()
    instance.bring_up()
    return instance


@pytest.fixture
def up(shared: Instance) -> Instance:
    """The instance that all rules share, brought back to life whatever the last one did to it."""
    shared.come_back()
    return shared
