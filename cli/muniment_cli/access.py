"""How a tenant's command finds a cloud and logs in: `clouds.yaml` or `OS_*` variables, as every OpenStack client does."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import yaml

from muniment.secret import Secret
from muniment_cli.clouds_file import TENANT_CLOUD
from muniment_cli.data_directory import DataDirectory, default_data
from muniment_cli.failure import BadInput

__all__ = ["Access", "find_access"]

_NO_CLOUD = "no cloud is named; use --cloud or OS_CLOUD, or run the export line that `muniment up` printed"


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """Where to log in, and as whom."""

    auth_url: str
    username: str
    password: Secret
    project: dict[str, object]
    """The project as the identity service wants it named: `id`, or `name` and `domain`."""
    user_domain: dict[str, str]
    region: str | None = None
    interface: str = "public"
    ca_file: str | None = None
    verify: bool = True


class _Cloud(msgspec.Struct, frozen=True):
    """What we read of a cloud in the file; other clients read more."""

    auth: dict[str, object] = {}
    auth_type: str = "password"
    region_name: str | None = None
    interface: str | None = None
    cacert: str | None = None
    verify: bool = True


class _Clouds(msgspec.Struct, frozen=True):
    clouds: dict[str, _Cloud] = {}


def find_access(cloud: str | None, environment: Mapping[str, str]) -> Access:
    """The access that the command line or the environment names; without any, that of a cloud called `muniment`, in the
    clouds.yaml that is found first or else in the one of this machine's own installation.

    Raises:
        BadInput: nothing is named, or what is named is not there or incomplete.
    """
    name = cloud or environment.get("OS_CLOUD")
    if name is None and "OS_AUTH_URL" in environment:
        return _from_variables(environment)
    own = DataDirectory(default_data(environment)).clouds_file
    if (named := environment.get("OS_CLIENT_CONFIG_FILE")) and not _is_readable(Path(named)):
        raise BadInput(
            f"{named}, which OS_CLIENT_CONFIG_FILE names, cannot be read; name another file, or unset the variable"
        )
    files = [file for file in (*_files(environment), own) if _is_readable(file)]
    if not files:
        raise BadInput(
            _NO_CLOUD if name is None else f"there is no clouds.yaml that could hold the cloud {name}"
        )
    found = _read(files[0])
    if name is None and TENANT_CLOUD not in found.clouds:
        raise BadInput(_NO_CLOUD)
    name = name or TENANT_CLOUD
    if name not in found.clouds:
        raise BadInput(f"{files[0]} has no cloud {name}; it has: {', '.join(found.clouds) or 'none'}")
    return _from_cloud(name, found.clouds[name])


def _files(environment: Mapping[str, str]) -> list[Path]:
    named = environment.get("OS_CLIENT_CONFIG_FILE")
    places = [Path.cwd(), Path.home() / ".config/openstack", Path("/etc/openstack")]
    return [*([Path(named)] if named else []), *(place / "clouds.yaml" for place in places)]


def _is_readable(path: Path) -> bool:
    try:
        with path.open("rb"):
            return True
    except OSError:
        return False


def _read(path: Path) -> _Clouds:
    try:
        return msgspec.convert(yaml.safe_load(path.read_text()), _Clouds)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, msgspec.ValidationError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a clouds.yaml"
        raise BadInput(f"{path}: {reason}") from error


def _from_cloud(name: str, cloud: _Cloud) -> Access:
    if cloud.auth_type not in ("password", "v3password"):
        raise BadInput(
            f"the cloud {name} has auth_type {cloud.auth_type}; this command logs in with a password"
        )
    return _access(f"the cloud {name}", cloud.auth, cloud)


def _from_variables(environment: Mapping[str, str]) -> Access:
    auth: dict[str, object] = {
        key.removeprefix("OS_").lower(): value for key, value in environment.items() if key.startswith("OS_")
    }
    options = _Cloud(
        region_name=environment.get("OS_REGION_NAME"),
        interface=environment.get("OS_INTERFACE"),
        cacert=environment.get("OS_CACERT"),
    )
    return _access("the environment (OS_*)", auth, options)


def _access(source: str, auth: Mapping[str, object], cloud: _Cloud) -> Access:
    def text(*names: str) -> str | None:
        return next((str(auth[name]) for name in names if auth.get(name)), None)

    def needed(*names: str) -> str:
        if (found := text(*names)) is None:
            raise BadInput(f"{source} has no {names[0]}")
        return found

    project_id = text("project_id", "tenant_id")
    project: dict[str, object] = (
        {"id": project_id}
        if project_id is not None
        else {"name": needed("project_name", "tenant_name"), "domain": _domain(auth, "project")}
    )
    return Access(
        auth_url=needed("auth_url").rstrip("/"),
        username=needed("username"),
        password=Secret(needed("password")),
        project=project,
        user_domain=_domain(auth, "user"),
        region=cloud.region_name,
        interface=(cloud.interface or "public").removesuffix("URL"),
        ca_file=cloud.cacert,
        verify=cloud.verify,
    )


def _domain(auth: Mapping[str, object], whose: str) -> dict[str, str]:
    for kind in ("id", "name"):
        if value := auth.get(f"{whose}_domain_{kind}"):
            return {kind: str(value)}
    return {"id": "default"}
