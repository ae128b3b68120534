"""What a driver must be before anybody calls it; each finding is a sentence for the driver's author.

A wrong driver found here costs one line in a list; found by a tenant's request it costs a database.
"""

import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pkgutil import resolve_name

import msgspec

from muniment.contract.control import ControlDriver
from muniment.contract.guest import (
    Backups,
    DatabasesDriver,
    GuestDriver,
    Restores,
    SuperuserDriver,
    UsersDriver,
)
from muniment.contract.manifest import CONTRACT_MAJOR, CONTRACT_MINOR, Capability, Manifest

__all__ = ["PROTOCOLS", "check_control", "check_guest", "check_manifest", "find_control", "find_guest"]

PROTOCOLS: dict[Capability, type] = {
    Capability.DATABASES: DatabasesDriver,
    Capability.USERS: UsersDriver,
    Capability.SUPERUSER: SuperuserDriver,
    Capability.BACKUP_FULL: Backups,
    Capability.RESTORE: Restores,
}
"""Which methods of a guest half stand behind a capability."""

_NEEDS = {
    Capability.USERS_HOST: Capability.USERS,
    Capability.USERS: Capability.DATABASES,
    Capability.RESTORE: Capability.BACKUP_FULL,
}


def check_manifest(manifest: Manifest) -> list[str]:
    """What is wrong with the description itself; nothing is imported."""
    try:
        msgspec.convert(msgspec.to_builtins(manifest), Manifest)
    except (msgspec.ValidationError, TypeError, ValueError) as error:
        # With a field of a wrong type the rest cannot be asked about.
        return [f"the manifest is not whole: {error}"]
    return [
        *_empty_fields(manifest),
        *_contract_version(manifest),
        *_capabilities(manifest),
        *_datastores(manifest),
    ]


def find_control(manifest: Manifest) -> tuple[ControlDriver | None, list[str]]:
    """The control half, made and checked, or the reasons why there is none."""
    found, reasons = _resolve(manifest.control, "control half")
    if reasons:
        return None, reasons
    reasons = check_control(found)
    if reasons:
        return None, reasons
    assert isinstance(found, type)
    try:
        control = found()
        same = control.manifest == manifest
    except Exception as error:  # noqa: BLE001 - foreign code; whatever it raises is a reason to refuse it
        return None, [f"the control half {manifest.control} cannot be made: {_words(error)}"]
    if not same:
        return None, [f"the control half {manifest.control} names another manifest than the hook"]
    return control, []


def find_guest(manifest: Manifest) -> tuple[type[GuestDriver] | None, list[str]]:
    """The guest half's class, checked, or the reasons why there is none. Only where its libraries are installed."""
    found, reasons = _resolve(manifest.guest, "guest half")
    if reasons:
        return None, reasons
    reasons = check_guest(found, manifest.capabilities)
    if reasons:
        return None, reasons
    assert isinstance(found, type)
    return found, []


def check_control(found: object) -> list[str]:
    """Whether it is a class that keeps the promises of `ControlDriver`."""
    return _check_class(found, ControlDriver, "control half")


def check_guest(found: object, capabilities: Iterable[str]) -> list[str]:
    """Whether it is a class that keeps the promises of `GuestDriver` and of each capability."""
    reasons = _check_class(found, GuestDriver, "guest half")
    for capability, protocol in PROTOCOLS.items():
        if capability in capabilities:
            reasons += [
                f"capability {capability} is claimed, but the guest half has {problem}"
                for problem in _unlike(found, protocol)
            ]
    return reasons


def _empty_fields(manifest: Manifest) -> Iterator[str]:
    for name in ("driver", "version", "control", "guest"):
        if not getattr(manifest, name):
            yield f"the manifest's field {name} is empty"


def _contract_version(manifest: Manifest) -> Iterator[str]:
    theirs = f"{manifest.contract_major}.{manifest.contract_minor}"
    ours = f"{CONTRACT_MAJOR}.{CONTRACT_MINOR}"
    if manifest.contract_major != CONTRACT_MAJOR:
        yield f"it is made for contract {theirs}, and this is {ours}: the major versions differ"
    elif manifest.contract_minor > CONTRACT_MINOR:
        yield f"it is made for contract {theirs}, which is newer than this one, {ours}"


def _capabilities(manifest: Manifest) -> Iterator[str]:
    known = {str(capability) for capability in Capability}
    for name in sorted(manifest.capabilities - known):
        yield f"the capability {name!r} is none of this contract"
    if Capability.CORE not in manifest.capabilities:
        yield "the capability core is missing, without which nothing works"
    for capability, needed in _NEEDS.items():
        if capability in manifest.capabilities and needed not in manifest.capabilities:
            yield f"the capability {capability} needs the capability {needed}"
    if (Capability.BACKUP_FULL in manifest.capabilities) != bool(manifest.backup_methods):
        yield "the capability backup.full and the backup methods belong together: one is there without the other"


def _datastores(manifest: Manifest) -> Iterator[str]:
    if not manifest.datastores:
        yield "the manifest names no datastore"
    for datastore in manifest.datastores:
        if not datastore.name or not datastore.versions:
            yield f"the datastore {datastore.name!r} has no name or no version"
        if sum(version.default for version in datastore.versions) > 1:
            yield f"the datastore {datastore.name!r} has more than one default version"
    pairs = Counter(
        (datastore.name, version.name) for datastore in manifest.datastores for version in datastore.versions
    )
    for (name, version), count in pairs.items():
        if count > 1:
            yield f"datastore {name!r} version {version!r} is named {count} times"


def _resolve(name: str, what: str) -> tuple[object, list[str]]:
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        return None, [f"the {what} {name!r} is not of the form package.module:Class"]
    try:
        return resolve_name(name), []
    except (Exception, SystemExit) as error:  # noqa: BLE001 - importing runs foreign code
        return None, [f"the {what} {name} cannot be imported: {_words(error)}"]


def _check_class(found: object, base: type, what: str) -> list[str]:
    if not isinstance(found, type) or not issubclass(found, base):
        return [f"the {what} is no {base.__name__}"]
    missing: frozenset[str] = getattr(found, "__abstractmethods__", frozenset())
    reasons = [f"the {what} lacks the method {name}" for name in sorted(missing)]
    return reasons + [f"the {what} has {problem}" for problem in _unlike(found, base, besides=missing)]


def _unlike(found: object, model: type, besides: Iterable[str] = ()) -> Iterator[str]:
    """Methods of `model` that `found` lacks or that cannot be called as the model says."""
    for name, specification in vars(model).items():
        if name.startswith("_") or name in besides:
            continue
        method = inspect.getattr_static(found, name, None)
        if method is None:
            yield f"no method {name}"
        elif inspect.isfunction(specification):
            if not callable(method):
                yield f"a {name} that is no method"
            elif (problem := _cannot_be_called(getattr(found, name), specification, method)) is not None:
                yield f"a method {name} that cannot be called as the contract does: {problem}"


def _cannot_be_called(
    method: Callable[..., object], specification: Callable[..., object], as_written: object
) -> str | None:
    """Why not, or None: every parameter may be given by its name, those before a `*` also by their place."""
    parameters = list(inspect.signature(specification).parameters.values())
    others = parameters[1:]
    by_place = [p for p in others if p.kind is not inspect.Parameter.KEYWORD_ONLY]
    by_name = [p for p in others if p.kind is inspect.Parameter.KEYWORD_ONLY]
    itself = [None] if inspect.isfunction(as_written) else []  # class and static methods have no self to give
    for placed, named in ((by_place, by_name), ([], others)):
        try:
            arguments = itself + [None for _ in placed]
            inspect.signature(method).bind(*arguments, **{p.name: None for p in named})
        except (TypeError, ValueError) as error:
            return str(error)
    return None


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
