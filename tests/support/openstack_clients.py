"""The ordinary OpenStack clients, configured by a clouds.yaml for an API that is served on loopback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import openstack
import yaml
from openstack.connection import Connection
from tests.support.accounts import BLUE

OPENSTACK = Path(sys.executable).parent / "openstack"


class OpenStackClients:
    """A served API, and clients configured for it by a clouds.yaml."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        names = {"username": "alice", "project_name": "red", "user_domain_name": "Default"}
        clouds = {
            "red": {**names, "project_domain_name": "Default"},
            "by-ids": {"user_id": "u-alice", "project_id": BLUE.id},
            "domain-id-as-name": {**names, "user_domain_name": "default", "project_domain_id": "default"},
            "no-domain": {"username": "alice", "project_name": "red"},
            "office": {
                **names,
                "username": "root",
                "project_name": "office",
                "project_domain_name": "Default",
            },
            "wrong": {**names, "password": "wrong", "project_domain_name": "Default"},
        }
        text = yaml.safe_dump({"clouds": {name: self._cloud(auth) for name, auth in clouds.items()}})
        (folder / "clouds.yaml").write_text(text)

    def _cloud(self, auth: dict[str, str]) -> dict[str, object]:
        name = auth.get("username", "alice")
        return {
            "auth_type": "password",
            "auth": {"auth_url": f"{self.url}/identity", "password": f"{name}-secret", **auth},
            "region_name": "RegionOne",
            "identity_api_version": "3",
        }

    def cli(self, cloud: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `openstack`."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "OS_CLIENT_CONFIG_FILE": str(self.folder / "clouds.yaml"),
            "NO_PROXY": "127.0.0.1",
        }
        return subprocess.run(
            [str(OPENSTACK), "--os-cloud", cloud, *arguments],
            env=environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def told(self, cloud: str, *arguments: str) -> object:
        """What `openstack … -f json` says."""
        done = self.cli(cloud, *arguments, "-f", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def rows(self, cloud: str, *arguments: str) -> list[dict[str, object]]:
        """The rows of a list command."""
        told = self.told(cloud, *arguments)
        assert isinstance(told, list)
        return told

    def sdk(self, cloud: str) -> Connection:
        """A connection of openstacksdk."""
        config = openstack.config.OpenStackConfig(
            config_files=[str(self.folder / "clouds.yaml")],
            vendor_files=[],
            secure_files=[],
            load_envvars=False,
        )
        return Connection(config=config.get_one(cloud))
