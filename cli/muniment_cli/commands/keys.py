"""`muniment keys`: the key-encryption key, without which no backup opens."""

import os
from pathlib import Path

from cyclopts import App

from muniment.durable_file import sync_folder
from muniment.secrets.keys import KeyEncryptionKeys
from muniment_cli.data_directory import find_data
from muniment_cli.data_option import Data
from muniment_cli.failure import BadInput

__all__ = ["app"]

app = App(name="keys", help="Copy the key without which no backup opens.")


@app.command
def export(file: Path, *, data: Data = None) -> None:
    """Copy the key file to a new file of mode 0600, and check the copy.

    To use it again, put it in the place of `key` in the data directory.

    Example: `muniment keys export /mnt/usb/muniment.key`
    """
    directory = find_data(data)
    KeyEncryptionKeys.read(directory.key_file)
    content = directory.key_file.read_bytes()
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as copy:
            copy.write(content)
            copy.flush()
            os.fsync(copy.fileno())
        sync_folder(file.absolute().parent)
    except FileExistsError:
        raise BadInput(f"{file} exists already; a key is never overwritten") from None
    except OSError as error:
        raise BadInput(f"{file} cannot be written: {error.strerror}") from error
    KeyEncryptionKeys.read(file)
    print(f"the key of {directory.root} is copied to {file}; keep it away from this machine")
