"""`clouds.yaml`: how OpenStack clients, and our own tenant commands, find this installation and log in."""

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import yaml

from muniment.durable_file import write_durably
from muniment.fault import Fault
from muniment.secret import Secret

__all__ = ["ADMIN_CLOUD", "TENANT_CLOUD", "CloudsFile"]

TENANT_CLOUD = "muniment"
ADMIN_CLOUD = "muniment-admin"
_ACCOUNTS = {TENANT_CLOUD: "demo", ADMIN_CLOUD: "admin"}


class CloudsFile:
    """The file of one installation, mode 0600. People may edit it: only what we have to change is changed.

    Whoever changes it keeps others away by `UsersFile.changing`: what is read is written back as a whole.
    """

    def __init__(self, path: Path) -> None:
        """Name the file."""
        self.path = path

    def create(self, api_url: str, region: str, passwords: dict[str, Secret], ca_file: str | None) -> None:
        """Write the two clouds of a first start."""
        clouds = {
            cloud: {
                "auth_type": "password",
                "auth": {
                    "auth_url": f"{api_url}/identity",
                    "username": account,
                    "password": passwords[account].reveal_text(),
                    "project_name": account,
                    "user_domain_name": "Default",
                    "project_domain_name": "Default",
                },
                "region_name": region,
                "identity_api_version": "3",
                **({} if ca_file is None else {"cacert": ca_file}),
            }
            for cloud, account in _ACCOUNTS.items()
        }
        self._write({"clouds": clouds})

    def point_to(self, api_url: str) -> bool:
        """Have both clouds reach the API there; whether the file was changed. A file that is not there stays away."""
        return self._edit(lambda auth: {**auth, "auth_url": f"{api_url}/identity"})

    def set_password(self, account: str, password: Secret) -> bool:
        """Have the clouds of an account log in with a new password; whether the file was changed."""
        return self._edit(
            lambda auth: (
                {**auth, "password": password.reveal_text()} if auth.get("username") == account else auth
            )
        )

    def _edit(self, change: Callable[[Mapping[str, object]], Mapping[str, object]]) -> bool:
        if not self.path.exists():
            return False
        content = self._read()
        clouds = content.get("clouds")
        if not isinstance(clouds, dict):
            return False
        changed = False
        for name in _ACCOUNTS:
            if isinstance(cloud := clouds.get(name), dict) and isinstance(auth := cloud.get("auth"), dict):
                cloud["auth"] = change(auth)
                changed = changed or cloud["auth"] != auth
        if changed:
            self._write(content)
        return changed

    def _read(self) -> dict[str, object]:
        try:
            content = yaml.safe_load(self.path.read_text())
            return msgspec.convert(content, dict[str, object])
        except OSError as error:
            raise Fault("clouds file", f"{self.path}: {error.strerror}", retryable=False) from error
        except (yaml.YAMLError, msgspec.ValidationError, UnicodeDecodeError) as error:
            raise Fault("clouds file", f"{self.path} is not a clouds.yaml", retryable=False) from error

    def _write(self, content: object) -> None:
        write_durably(self.path, yaml.safe_dump(content, sort_keys=False).encode())
