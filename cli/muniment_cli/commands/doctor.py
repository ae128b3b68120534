"""`muniment doctor`: what is stuck and why, and what this machine lacks."""

import shlex
import sys
from collections.abc import Iterator, Sequence
from typing import Annotated

from cyclopts import Parameter

from muniment.operations.reconciler import Orphan, Reconciler
from muniment.operations.timing import ONE_MACHINE
from muniment.store.chain import BrokenChain
from muniment_cli.commands.finding import Finding, Verdict
from muniment_cli.commands.findings import history_finding, plane_findings, work_findings
from muniment_cli.commands.machine_findings import Machine, machine_findings, port_finding
from muniment_cli.data_directory import DataDirectory, named_data
from muniment_cli.data_option import Data
from muniment_cli.failure import FAILED, BadInput
from muniment_cli.home import check_home
from muniment_cli.installation import Installation, opened
from muniment_cli.output import Form, print_records

__all__ = ["doctor"]

_COLUMNS = ("verdict", "about", "finding", "next")


def doctor(
    *,
    remove_orphans: Annotated[
        bool, Parameter(negative="", help="Remove resources that no instance holds, after asking.")
    ] = False,
    yes: Annotated[bool, Parameter(negative="", help="Do not ask.")] = False,
    data: Data = None,
    output: Annotated[Form, Parameter(alias="-o", help="How to print the result.")] = "table",
) -> int:
    """Look at the machine, the control plane, the agents and the operations, and say what is wrong and what to do.

    Before the first `muniment up` it looks at the machine alone. Exit code 1 when something is wrong; what is only worth
    knowing does not count.

    Example: `muniment doctor`
    """
    directory = named_data(data)
    if directory.is_untouched and not remove_orphans:
        return _told(_before_first_start(directory), output)
    with opened(data) as installation:
        reconciler = _reconciler(installation)
        if remove_orphans:
            check_home(directory)  # a copy would take its original's servers for its own
            return _remove(reconciler, reconciler.orphans(), ask=not yes)
        findings = [
            *machine_findings(Machine.of(installation)),
            *plane_findings(installation),
            history_finding(installation.recorder),
            *work_findings(installation),
            *_orphan_findings(reconciler),
        ]
    return _told(findings, output)


def _told(findings: Sequence[Finding], output: Form) -> int:
    print_records([_row(finding) for finding in findings], output, _COLUMNS)
    return FAILED if any(finding.verdict is Verdict.WRONG for finding in findings) else 0


def _before_first_start(directory: DataDirectory) -> list[Finding]:
    machine = Machine.before(directory)
    up = f"muniment up --data {shlex.quote(str(directory.root))}"
    return [
        Finding(Verdict.NOTE, "data directory", f"there is none at {directory.root} yet", up),
        port_finding("port of the api", machine.settings.listen.api, f"{up} --api 127.0.0.1:PORT"),
        *machine_findings(machine),
    ]


def _reconciler(installation: Installation) -> Reconciler:
    return Reconciler(installation.ledger, installation.cloud, installation.clock, ONE_MACHINE)


def _orphan_findings(reconciler: Reconciler) -> Iterator[Finding]:
    try:
        orphans = reconciler.orphans()
    except BrokenChain as broken:
        yield Finding(Verdict.WRONG, "resources", "who holds them cannot be told", broken.advice)
        return
    for orphan in orphans:
        resource = orphan.resource
        yield Finding(
            Verdict.WRONG,
            f"{resource.kind} {resource.id}",
            f"no instance holds it: {orphan.reason}",
            "muniment doctor --remove-orphans",
        )


def _remove(reconciler: Reconciler, orphans: Sequence[Orphan], *, ask: bool) -> int:
    if not orphans:
        print("there is nothing that no instance holds")
        return 0
    for orphan in orphans:
        print(f"{orphan.resource.kind} {orphan.resource.id}: {orphan.reason}")
    if ask:
        if not sys.stdin.isatty():
            raise BadInput("say --yes where nobody can be asked")
        if input("Type yes to remove these: ").strip().lower() != "yes":
            raise BadInput("nothing was removed")
    removed = sum([reconciler.remove(orphan) for orphan in orphans])
    print(f"removed: {removed} of {len(orphans)}")
    return 0


def _row(finding: Finding) -> dict[str, object]:
    return {
        "verdict": finding.verdict.value,
        "about": finding.about,
        "finding": finding.finding,
        "next": finding.next_step or None,
    }
