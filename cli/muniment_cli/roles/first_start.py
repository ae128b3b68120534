"""A first start: everything that a new data directory holds. Finished by its version file, or begun again."""

import os
import re
from pathlib import Path

from muniment.durable_file import write_durably
from muniment.fault import Fault
from muniment.secrets.keys import KeyEncryptionKeys
from muniment_api.auth.users import UsersFile, first_users
from muniment_cli.clouds_file import CloudsFile
from muniment_cli.data_directory import VERSION, DataDirectory
from muniment_cli.failure import BadInput
from muniment_cli.installation import BACKUPS_MARK
from muniment_cli.settings import Settings, first_settings_text

__all__ = ["api_url", "change_api_address", "finish", "write_settings"]


def write_settings(data: DataDirectory, *, api: str, gateway: str, backups: Path | None) -> None:
    """Write the settings file of a first start."""
    place = None if backups is None else str(backups.absolute())
    text = first_settings_text(api=api, gateway=gateway, backups=place)
    write_durably(data.settings_file, text.encode())


def change_api_address(data: DataDirectory, api: str) -> None:
    """Keep another address of the API, in the line where the settings have it.

    Raises:
        BadInput: the file was rearranged, so that the line is not found.
    """
    text = data.settings_file.read_text()
    changed, count = re.subn(
        r'^(\[listen\][^\[]*?^api\s*=\s*)"[^"\n]*"',
        rf'\g<1>"{api}"',
        text,
        count=1,
        flags=re.MULTILINE | re.DOTALL,
    )
    if count != 1:
        raise BadInput(
            f"{data.settings_file} has no line `api = ...` in [listen]; write it there instead of --api"
        )
    write_durably(data.settings_file, changed.encode())


def finish(data: DataDirectory, settings: Settings, url: str) -> None:
    """Make key, accounts and clouds.yaml, then the version file, with which the directory counts as complete.

    A start that was killed in here did not tell anybody the passwords, so they are made anew.
    """
    _make_key(data)
    data.users_file.unlink(missing_ok=True)
    users, passwords = first_users()
    UsersFile.create(data.users_file, users)
    CloudsFile(data.clouds_file).create(url, settings.api.region, passwords, settings.listen.certificate)
    if settings.backups.directory is not None:
        _mark_backups(Path(settings.backups.directory), data)
    if os.geteuid() == 0:
        data.root.chmod(0o711)  # the users of engines pass through to their own directories
    write_durably(data.version_file, f"{VERSION}\n".encode())


def api_url(settings: Settings, listening: str) -> str:
    """How clients on this machine reach the API that listens there."""
    if settings.api.public_endpoint is not None:
        return settings.api.public_endpoint
    host, _, port = listening.rpartition(":")
    host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)  # noqa: S104 - compared, not bound
    scheme = "http" if settings.listen.certificate is None else "https"
    return f"{scheme}://{host}:{port}"


def _mark_backups(directory: Path, data: DataDirectory) -> None:
    try:
        write_durably(directory / BACKUPS_MARK, f"Backups of {data.root}; each is a directory.\n".encode())
    except OSError as error:
        raise BadInput(
            f"{directory}, where backups are to lie, cannot be written: {error.strerror}"
        ) from error


def _make_key(data: DataDirectory) -> None:
    """A key that an unfinished start left whole is kept: something may be sealed with it."""
    try:
        KeyEncryptionKeys.read(data.key_file)
    except Fault:
        data.key_file.unlink(missing_ok=True)
        KeyEncryptionKeys.create(data.key_file)
