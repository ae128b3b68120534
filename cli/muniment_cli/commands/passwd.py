"""`muniment passwd`: a new password for an account."""

import getpass
import sys
from typing import Annotated

from cyclopts import Parameter

from muniment.secret import Secret
from muniment_api.auth.passwords import generated_password
from muniment_api.auth.users import UsersFile
from muniment_cli.clouds_file import CloudsFile
from muniment_cli.data_directory import find_data
from muniment_cli.data_option import Data
from muniment_cli.failure import BadInput

__all__ = ["passwd"]

_BYTES_MAX = 1024


def passwd(
    account: str,
    *,
    generate: Annotated[
        bool, Parameter(help="Draw a password instead of asking for one.", negative="")
    ] = False,
    data: Data = None,
) -> None:
    """Set the password of an account; its tokens end, and `clouds.yaml` gets the new one.

    A drawn one is printed when there is no `clouds.yaml` to write it to.

    Asks twice on a terminal, else reads one line from standard input. Works whether `muniment up` runs or not.

    Example: `muniment passwd demo --generate`
    """
    directory = find_data(data)
    users = UsersFile(directory.users_file)
    if users.directory().by_name(account) is None:
        names = ", ".join(user.name for user in users.directory().users)
        raise BadInput(f"no account is named {account}; there are: {names}")
    password = generated_password() if generate else _asked()
    clouds = CloudsFile(directory.clouds_file)
    is_written = False

    def write_to_clouds() -> None:
        nonlocal is_written
        try:
            is_written = clouds.set_password(account, password)
        finally:  # also when the file is damaged: a drawn password that nobody saw would lock the account
            if generate and not is_written:
                print(f"password of {account}: {password.reveal_text()} (shown only now)", flush=True)

    users.set_password(account, password, also=write_to_clouds)
    where = ""
    if is_written:
        where = f", and written to {clouds.path}"
    elif not clouds.path.exists():
        where = f"; {clouds.path} is not there to take it"
    print(f"the password of {account} is set{where}")


def _asked() -> Secret:
    if sys.stdin.isatty():
        text = getpass.getpass("New password: ")
        if getpass.getpass("Again: ") != text:
            raise BadInput("the two passwords differ; nothing was changed")
    else:
        text = sys.stdin.readline(_BYTES_MAX + 2).rstrip("\n")
    if not text or len(text.encode()) > _BYTES_MAX:
        raise BadInput(f"a password has 1 to {_BYTES_MAX} bytes; nothing was changed")
    return Secret(text)
