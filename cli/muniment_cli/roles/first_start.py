"""A first start: everything that a new data directory holds. Finished by its version file, or begun again."""

import os
import re
from pathlib import Path

from muniment.cloud.local.backups_mark import BackupsMark
from muniment.durable_file import write_durably
from muniment.fault import Fault
from muniment.secrets.keys import KeyEncryptionKeys
from muniment_api.auth.users import UsersFile, first_users
from muniment_cli.clouds_file import CloudsFile
from muniment_cli.data_directory import VERSION, DataDirectory
from muniment_cli.failure import BadInput
from muniment_cli.settings import Settings, first_settings_text

__all__ = ["api_url", "change_api_address", "check", "check_settings", "finish", "write_settings"]


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


def check_settings(data: DataDirectory) -> None:
    """See that the settings are not all that is missing: only they said where backups lie.

    Raises:
        BadInput: the settings file was lost; says how to get it back, and nothing was changed.
    """
    proofs = [*_made_after_key(data), *(f for f in (data.key_file, data.version_file) if os.path.lexists(f))]
    if proofs and not os.path.lexists(data.settings_file):
        raise BadInput(
            f"{data.settings_file} is missing, and {proofs[0]} shows that this is no new data directory: put it back "
            f"from a copy, or make one (an empty file stands for the defaults, with backups in {data.own_backups}; if "
            "they lie elsewhere, say so as `directory` in [backups]); nothing was changed"
        )


def check(data: DataDirectory) -> None:
    """See that a directory without its version file is new, or one that can be completed without a loss.

    A first start makes key, accounts and clouds.yaml, and only a complete directory gets a ledger and databases. So what
    is there without something made before it has lost that, in a copy or a restore, and nobody can make it anew: all
    that the key sealed and all that the accounts own would be gone.

    Raises:
        BadInput: something is missing or unreadable; says what to do, and nothing was changed.
    """
    later = _made_after_key(data)
    if not later and not os.path.lexists(data.key_file):
        return
    try:
        KeyEncryptionKeys.read(data.key_file)
        if later:
            UsersFile(data.users_file)
    except Fault as fault:
        proof = later[-1] if later else data.key_file
        raise BadInput(
            f"{fault.message}; {proof} shows that this is no new data directory: mend the file or put it back from a "
            f"copy, and the file {data.version_file} too; nothing was changed"
        ) from fault


def finish(data: DataDirectory, settings: Settings, url: str) -> None:
    """Make key, accounts and clouds.yaml where they are missing, then the version file: the directory is complete.

    `check` has passed. Beside a ledger only the version file was lost.
    """
    if not data.ledger_file.exists():
        _make_key(data)
        _make_accounts(data, settings, url)
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


def _made_after_key(data: DataDirectory) -> list[Path]:
    made = (data.users_file, data.clouds_file, data.ledger_file, data.cloud)
    return [file for file in made if os.path.lexists(file)]


def _mark_backups(directory: Path, data: DataDirectory) -> None:
    try:
        BackupsMark(directory, data.root).write()
    except OSError as error:
        raise BadInput(
            f"{directory}, where backups are to lie, cannot be written: {error.strerror}"
        ) from error


def _make_key(data: DataDirectory) -> None:
    """A key that an unfinished start left is kept: something may be sealed with it."""
    if not data.key_file.exists():
        KeyEncryptionKeys.create(data.key_file)


def _make_accounts(data: DataDirectory, settings: Settings, url: str) -> None:
    """Accounts whose passwords did not get into clouds.yaml were told to nobody, so they are made anew."""
    if data.clouds_file.exists():
        return
    data.users_file.unlink(missing_ok=True)
    users, passwords = first_users()
    UsersFile.create(data.users_file, users)
    CloudsFile(data.clouds_file).create(url, settings.api.region, passwords, settings.listen.certificate)
