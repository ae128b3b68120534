"""`python -m muniment_guest.runtimes.docker --socket S …`: what a cloud needs of Docker, without a server's agent.

`ping`: whether an engine answers. `clear ID`: nothing of an instance is left, for whoever takes its server away.
`resolve IMAGE`: prints the digest by which the image's registry knows it now, or nothing where that cannot be told.
Exit codes: 0 done, 1 failed, with the reason.
"""

import argparse
import sys
from uuid import UUID

from muniment.contract.errors import OpFailed
from muniment_guest.runtimes.docker.clearing import clear
from muniment_guest.runtimes.docker.engine import open_engine
from muniment_guest.runtimes.docker.images import resolve

__all__ = ["main"]


def main() -> int:
    """Do it; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m muniment_guest.runtimes.docker")
    parser.add_argument("--socket", required=True)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("ping")
    commands.add_parser("clear").add_argument("instance", type=UUID)
    commands.add_parser("resolve").add_argument("image")
    options = parser.parse_args()
    try:
        match options.command:
            case "ping":
                open_engine(options.socket)
            case "clear":
                clear(options.socket, options.instance)
            case "resolve":
                print(resolve(open_engine(options.socket), options.image) or "")
    except OpFailed as failed:
        print(failed.error.message, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
