"""The registry: good drivers are found, bad ones are refused with their reasons, and neither hurts the other."""

from collections.abc import Callable
from pathlib import Path

import pluggy
import pytest
from tests.support.sample_drivers import FAR_MANIFEST, MANIFEST, Control, Guest, Package, changed

from muniment.contract.hooks import hookimpl
from muniment.contract.manifest import Capability, DatastoreSupport, Manifest, VersionSupport
from muniment.contract.registry import Registry, UnknownDatastore
from muniment.fault import Fault

OTHER = DatastoreSupport(name="other", versions=(VersionSupport(name="1", number="1"),))


def _refused(plugin: object, *, check_guest: bool = False) -> str:
    """Load the good sample and then this one: the sample stays, and the reasons of the other come back."""
    registry = Registry.of([("good", Package(MANIFEST)), ("bad", plugin)], check_guest=check_guest)
    assert [driver.package for driver in registry.drivers] == ["good"]
    assert {rejected.package for rejected in registry.rejected} == {"bad"}
    return "\n".join(reason for rejected in registry.rejected for reason in rejected.reasons)


def _stranger(**fields: object) -> Package:
    """A driver with a name and a datastore of its own, and otherwise these fields."""
    return Package(changed(**({"driver": "stranger", "datastores": (OTHER,)} | fields)))


def test_a_good_driver() -> None:
    """A good driver answers by the names of its datastores."""
    registry = Registry.of([("good", Package(MANIFEST))], check_guest=True)

    assert registry.rejected == ()
    assert isinstance(registry.control("sample"), Control)
    assert registry.guest_class("sample") is Guest
    assert [support.name for support in registry.datastores()] == ["sample"]


def test_unknown_datastore() -> None:
    """Asking for what nobody brings names what there is."""
    registry = Registry.of([("good", Package(MANIFEST))])

    with pytest.raises(UnknownDatastore, match="'mysql'; there are: sample"):
        registry.control("mysql")


@pytest.mark.parametrize(
    ("plugin", "reason"),
    [
        (_stranger(driver=""), "the manifest's field driver is empty"),
        (_stranger(version=3), "not whole: Expected `str`, got `int`"),
        (_stranger(datastores="none"), "the manifest is not whole"),
        (_stranger(capabilities=frozenset({object()})), "the manifest is not whole"),
        (_stranger(contract_major=2), "the major versions differ"),
        (_stranger(contract_minor=99), "which is newer than this one"),
        (_stranger(capabilities=frozenset({"databases"})), "the capability core is missing"),
        (_stranger(capabilities=frozenset({"core", "telepathy"})), "'telepathy' is none of this contract"),
        (_stranger(capabilities=frozenset({"core", "users.host"})), "users.host needs the capability users"),
        (_stranger(backup_methods=("full",)), "one is there without the other"),
        (_stranger(datastores=()), "names no datastore"),
        (_stranger(datastores=(DatastoreSupport(name="d", versions=()),)), "has no name or no version"),
        (_stranger(datastores=(OTHER, OTHER)), "is named 2 times"),
        (
            _stranger(
                datastores=(
                    DatastoreSupport(
                        name="d",
                        versions=tuple(VersionSupport(name=n, number=n, default=True) for n in ("1", "2")),
                    ),
                )
            ),
            "more than one default version",
        ),
        (_stranger(control="tests.support.sample_drivers.Control"), "not of the form package.module:Class"),
        (_stranger(control="tests.no_such_module:Control"), "No module named 'tests.no_such_module'"),
        (_stranger(control="tests.support.sample_drivers:Nobody"), "has no attribute 'Nobody'"),
        (_stranger(control="tests.support.sample_drivers:NoDriver"), "the control half is no ControlDriver"),
        (_stranger(control="tests.support.sample_drivers:MANIFEST"), "the control half is no ControlDriver"),
        (_stranger(control="tests.support.sample_drivers:ControlWithoutPort"), "lacks the method port"),
        (_stranger(control="tests.support.sample_drivers:ControlThatForgets"), "a method base_config that cannot be called"),
        (_stranger(control="tests.support.sample_drivers:ControlThatFails"), "RuntimeError: no licence"),
        (_stranger(), "names another manifest than the hook"),
        (Package(MANIFEST), "a driver 'sample' is there already"),
        (_stranger(datastores=MANIFEST.datastores), "brings sample in version 1 already"),
        (Package("postgresql"), "returned a str where a Manifest belongs"),
        (Package(None), "returned a NoneType where a Manifest belongs"),
        (object(), "implements no hook"),
    ],
)  # fmt: skip
def test_bad_drivers(plugin: object, reason: str) -> None:
    """Each kind of bad driver is refused for its own reason, beside a good one that stays."""
    assert reason in _refused(plugin)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"guest": "tests.support.sample_drivers:GuestWithoutStop"}, "a method stop that cannot be called"),
        (
            {"guest": "tests.support.sample_drivers:GuestWithOwnNames"},
            "missing a required argument: 'patience'",
        ),
        ({"guest": "tests.support.sample_drivers:Control"}, "the guest half is no GuestDriver"),
        (
            {"capabilities": MANIFEST.capabilities | {Capability.USERS}},
            "capability users is claimed, but the guest half has no method create_user",
        ),
    ],
)
def test_bad_guest_halves(fields: dict[str, object], reason: str) -> None:
    """Where the guest half can be imported, its class and its capabilities are checked too."""
    assert reason in _refused(_stranger(**fields), check_guest=True)


def test_all_reasons_at_once() -> None:
    """An author learns everything in one go."""
    reasons = _refused(
        _stranger(control="nowhere:X", datastores=MANIFEST.datastores, guest="nowhere:Y"), check_guest=True
    )

    assert len(reasons.splitlines()) == 3


def test_a_hook_that_fails() -> None:
    """A hook that raises costs its own package only."""

    class Failing:
        @hookimpl
        def muniment_register_drivers(self) -> list[Manifest]:
            raise ZeroDivisionError("oh")

    assert "ZeroDivisionError: oh" in _refused(Failing())


def _impl(name: str) -> Callable[[object], object]:
    def function(self: object, colour: str = "red") -> object:
        return []

    function.__name__ = name
    return pluggy.HookimplMarker("muniment")(function)


def test_a_misspelled_hook() -> None:
    """A hook that nobody will ever call is found out, not ignored."""
    plugin = type("Misspelled", (), {"muniment_register_driver": _impl("muniment_register_driver")})()

    assert "unknown hook 'muniment_register_driver'" in _refused(plugin)


def test_an_unknown_hook_argument() -> None:
    """A hook that asks for what it will not be given is refused."""

    class Asking:
        @hookimpl
        def muniment_register_drivers(self, colour: str) -> list[Manifest]:
            return []

    assert "colour" in _refused(Asking())


def test_guest_half_that_is_not_installed() -> None:
    """The control plane uses a driver whose guest half it cannot import; asking for that half is a fault."""
    registry = Registry.of([("far", Package(FAR_MANIFEST))])

    assert registry.rejected == ()
    with pytest.raises(Fault, match="No module named 'muniment_elsewhere'"):
        registry.guest_class("sample")


def test_entry_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of installed packages, one that does not import and one that exits are listed, and the good one is used."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "drivers_good.py").write_text(
        "from tests.support.sample_drivers import MANIFEST, Package\nplugin = Package(MANIFEST)\n"
    )
    (tmp_path / "drivers_broken.py").write_text("import a_library_that_nobody_has\n")
    (tmp_path / "drivers_exiting.py").write_text("raise SystemExit('bye')\n")
    for name, target in (
        ("a-broken", "drivers_broken"),
        ("b-exiting", "drivers_exiting"),
        ("c-good", "drivers_good:plugin"),
    ):
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[muniment.sample]\n{name} = {target}\n")

    registry = Registry.load("muniment.sample")

    assert [driver.package for driver in registry.drivers] == ["c-good"]
    assert [(rejected.package, rejected.reasons) for rejected in registry.rejected] == [
        ("a-broken", ("drivers_broken cannot be loaded: ModuleNotFoundError: No module named 'a_library_that_nobody_has'",)),
        ("b-exiting", ("drivers_exiting cannot be loaded: SystemExit: bye",)),
    ]  # fmt: skip


def test_our_own_drivers() -> None:
    """The drivers of this repository pass, guest halves too."""
    registry = Registry.load(check_guest=True)

    assert registry.rejected == ()
    assert "postgresql" in [support.name for support in registry.datastores()]
