"""The menu: every command of `muniment`, loaded when it is called, and how each of them ends."""

import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError, Group

from muniment.domain.refused import Refused
from muniment.fault import Fault
from muniment.store.chain import BrokenChain
from muniment_cli.failure import BAD_INPUT, FAILED, INTERRUPTED, Failure

__all__ = ["main", "menu", "run"]

_RUN = Group("Run", sort_key=1)
_USE = Group("Use (over the REST API)", sort_key=2)
_OPERATE = Group("Operate (on the data directory)", sort_key=3)

_COMMANDS = (
    (_RUN, "up", "roles.up:up", "Run the control plane and look after the databases of this machine."),
    (_RUN, "down", "commands.down:down", "Stop the control plane, its agents and their databases."),
    (_RUN, "service", "commands.service:app", "Have it started at every boot, by systemd."),
    (_RUN, "demo", "demo.command:demo", "From nothing to a restored database, then everything gone again."),
    (_USE, "instance", "commands.instance:app", "Create, list, show, connect to and delete databases."),
    (_USE, "backup", "commands.backup:app", "Create, list, show and delete backups."),
    (_USE, "operation", "commands.operation:app", "List, show and cancel what is being done."),
    (_USE, "root", "commands.root:app", "Enable, disable and show the superuser of an instance."),
    (_OPERATE, "status", "commands.status:status", "Say what runs."),
    (_OPERATE, "doctor", "commands.doctor:doctor", "Say what is stuck and why, and what this machine lacks."),
    (_OPERATE, "events", "commands.events:events", "Show what happened, from the log of events."),
    (_OPERATE, "verify", "commands.verify:verify", "Prove that no event was altered, removed or swapped."),
    (_OPERATE, "rebuild", "commands.rebuild:rebuild", "Make the read models anew from the log and compare."),
    (_OPERATE, "drivers", "commands.drivers:drivers", "List the drivers, also those refused and why."),
    (_OPERATE, "passwd", "commands.passwd:passwd", "Set the password of an account."),
    (_OPERATE, "keys", "commands.keys:app", "Copy the key without which no backup opens."),
)


_ACCOUNTS = "users and databases: the openstack client, such as `openstack database user list INSTANCE`"
_RESTORE = "`muniment instance create NAME --backup BACKUP`"
_HINTS = {
    "list": "`muniment instance list`",
    "create": "`muniment instance create NAME`",
    "show": "`muniment instance show NAME`",
    "delete": "`muniment instance delete NAME`",
    "connect": "`muniment instance connect NAME`",
    "cancel": "`muniment operation list --running`, then `muniment operation cancel ID`",
    "restore": _RESTORE,
    "backup restore": _RESTORE,
    "instance restore": _RESTORE,
    "logs": "`muniment events`, and the output of `muniment up`",
    "start": "`muniment up`",
    "stop": "`muniment down`",
    "user": _ACCOUNTS,
    "database": _ACCOUNTS,
}
"""What people may have meant who type a command that there is not."""


def menu(called: str | None = None) -> App:
    """The whole command line. A command's module is imported when it is called; `called` shows the help of its own."""
    app = App(
        name="muniment",
        help="Databases as a service, with every change an event that can be proven.\n\n"
        "Example: `muniment up`, and in another terminal what it prints.",
        help_format="markdown",
        version_flags=["--version"],
        suppress_keyboard_interrupt=False,
    )
    for group, name, path, help_text in _COMMANDS:
        app.command(
            f"muniment_cli.{path}", name=name, help=None if name == called else help_text, group=group
        )
    return app


def run(arguments: Sequence[str]) -> int:
    """Run one command line; the exit code."""
    try:
        code = menu(next(iter(arguments), None))(
            list(arguments), exit_on_error=False, print_error=False, result_action="return_value"
        )
    except Failure as failure:
        return _say(failure.message, failure.code)
    except CycloptsError as error:
        return _say(f"{str(error).strip()} {_hint(arguments)}", BAD_INPUT)
    except Refused as refused:
        return _say(refused.message, BAD_INPUT)
    except Fault as fault:
        return _say(fault.message, FAILED if fault.retryable else BAD_INPUT)
    except BrokenChain as broken:
        return _say(broken.advice, FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has gone (`| head`); the interpreter's own flush at exit must not complain about it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return code if isinstance(code, int) else 0


def main() -> None:
    """Entry point of the `muniment` program."""
    sys.exit(run(sys.argv[1:]))


def _hint(arguments: Sequence[str]) -> str:
    for words in (" ".join(arguments[:2]), " ".join(arguments[:1])):
        if words in _HINTS:
            return f"Try {_HINTS[words]}." if _HINTS[words].startswith("`") else f"For {_HINTS[words]}."
    return "See `muniment --help`."


def _say(message: str, code: int) -> int:
    print(f"muniment: {message}", file=sys.stderr)
    return code
