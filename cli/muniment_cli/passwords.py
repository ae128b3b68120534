"""A password for an account of a database: given on standard input, or drawn and shown once; never on a command line."""

import sys

from muniment.secret import Secret
from muniment_api.auth.passwords import generated_password
from muniment_cli.failure import BadInput

__all__ = ["chosen_password", "tell_password"]

_CHARACTERS_MAX = 4096


def chosen_password(*, from_stdin: bool) -> Secret:
    """The line on standard input, or a new one.

    Raises:
        BadInput: standard input holds none.
    """
    if not from_stdin:
        return generated_password()
    text = sys.stdin.readline(_CHARACTERS_MAX).rstrip("\n")
    if not text:
        raise BadInput("standard input holds no password")
    return Secret(text)


def tell_password(user: str, drawn: Secret) -> None:
    """Before any wait, which may end early; on standard error, so that the output stays the record alone."""
    print(f"password of {user}: {drawn.reveal_text()} (shown only now)", file=sys.stderr, flush=True)
