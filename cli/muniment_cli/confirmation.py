"""Asking a person before something is removed for good."""

import sys

from muniment_cli.failure import BadInput

__all__ = ["confirm"]


def confirm(*said: str, yes: bool) -> None:
    """Say what is about to happen and go on only after a typed `yes`. Programs, which have no terminal, are not asked.

    Raises:
        BadInput: the answer was another one.
    """
    if yes or not sys.stdin.isatty():
        return
    for line in said:
        print(line, file=sys.stderr)
    print("Type yes to go on: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() != "yes":
        raise BadInput("nothing was deleted")
