"""What `muniment doctor` finds in an installation: control plane, history, agents, volumes and operations."""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

import httpx
import msgspec

from muniment.clock import seconds
from muniment.cloud.recipes import Kind
from muniment.contract.messages import VolumeFacts
from muniment.domain.guest import SILENT_S
from muniment.fault import Fault
from muniment.store.events import head
from muniment.store.recorder import Recorder
from muniment.store.transaction import Transaction
from muniment.store.verify import verify_log
from muniment_cli.commands.finding import Finding, Verdict
from muniment_cli.commands.machine_findings import port_finding
from muniment_cli.failure import BadInput
from muniment_cli.installation import Installation
from muniment_cli.shown import everything
from muniment_projections.instances import Instances
from muniment_projections.operations import Operations

__all__ = [
    "database_finding",
    "history_finding",
    "plane_findings",
    "volume_finding",
    "work_findings",
]

_GIB = 1024**3
_UNWELL = {
    "SHUTDOWN": (
        "its engine does not run",
        "muniment instance restart {0}, as its owner; its volume may be full",
    ),
    "ERROR": (
        "its engine does not answer, or its agent is not heard",
        "muniment events --instance {0} --tail 5",
    ),
}
_FILLING = 85
_FULL = 95
"""Percent of an enforced volume in use; beyond the second an engine soon stops writing."""
_EVENTS_MAX = 50_000
"""Beyond so many, verifying by the way would keep an operator waiting."""
_ANSWER_S = 5.0
_LAG_MAX = 1000


def history_finding(recorder: Recorder) -> Finding:
    """Whether the log is what was written; a long one is left to `muniment verify`."""
    with recorder.reading() as cursor:
        events = head(Transaction(cursor, now_s=0))
    if events > _EVENTS_MAX:
        return Finding(
            Verdict.NOTE, "history", f"{events} events, too many to verify by the way", "muniment verify"
        )
    verdict = verify_log(recorder)
    if verdict.broken is None:
        return Finding(Verdict.GOOD, "history", f"{verdict.events} events verified")
    broken = verdict.broken
    return Finding(
        Verdict.WRONG,
        "history",
        f"broken at position {broken.position}: version {broken.version} of stream {broken.stream_id} {broken.reason}",
        "muniment verify",
    )


def plane_findings(installation: Installation) -> Iterator[Finding]:
    """Whether the control plane runs, and each of its roles."""
    holder = installation.data.holder()
    url = _own_api(installation)
    if holder is None:
        yield Finding(Verdict.WRONG, "control plane", "it does not run", "muniment up")
        for setting in ("api", "gateway"):
            address = getattr(installation.settings.listen, setting)
            yield port_finding(f"port of the {setting}", address, "change it in the settings")
        return
    yield Finding(Verdict.GOOD, "control plane", f"runs (process {holder})")
    try:
        # Our own loopback address; a certificate that others trust says nothing here.
        answer = httpx.get(f"{url}/healthz", timeout=_ANSWER_S, verify=False)  # noqa: S501
        checks = msgspec.json.decode(answer.content)["checks"]
    except (httpx.HTTPError, msgspec.MsgspecError, KeyError) as error:
        yield Finding(
            Verdict.WRONG, "api", f"{url} does not answer: {error}", "look at the log of muniment up"
        )
        return
    for role, outcome in checks.items():
        good = outcome == "ok"
        yield Finding(
            Verdict.GOOD if good else Verdict.WRONG,
            f"role {role}",
            outcome,
            "" if good else "look at the log",
        )
    try:
        lag = installation.ledger.log.head() - installation.read_model.position()
    except (BadInput, Fault):
        return  # told where they are read
    if lag > _LAG_MAX:
        yield Finding(Verdict.WRONG, "read models", f"{lag} events behind the log", "muniment rebuild")


def work_findings(installation: Installation) -> Iterator[Finding]:
    """Agents that do not run or are not heard of, databases that are not well, operations that do not get on."""
    yield from _agents(installation)
    yield from _volumes(installation)
    try:
        yield from _databases(installation)
        yield from _operations(installation)
    except (BadInput, Fault) as unreadable:
        yield Finding(Verdict.WRONG, "read models", unreadable.message, "muniment rebuild")


def _databases(installation: Installation) -> Iterator[Finding]:
    """Those of which agents say that they are not well; while nobody hears agents, only those that were never made."""
    is_up = installation.data.holder() is not None
    for instance in everything(Instances(installation.read_model)):
        if (finding := database_finding(instance, is_up=is_up)) is not None:
            yield finding


def database_finding(instance: Mapping[str, Any], *, is_up: bool) -> Finding | None:
    """What is wrong with a database, if something is; `is_up`: its agent is heard."""
    about = f"instance {instance['name']} ({instance['id']})"
    if instance["status"] == "ERROR":
        reason = (instance.get("fault") or {}).get("message") or "no reason was recorded"
        return Finding(
            Verdict.WRONG, about, f"ERROR: {reason}", f"muniment events --instance {instance['id']}"
        )
    operating = instance["operating_status"]
    if not is_up or operating not in _UNWELL:
        return None
    what, next_step = _UNWELL[operating]
    return Finding(Verdict.WRONG, about, f"{operating}: {what}", next_step.format(instance["id"]))


def _operations(installation: Installation) -> Iterator[Finding]:
    """Those that are under way, and those that do not get on."""
    for operation in everything(Operations(installation.read_model), has_ended="no"):
        stuck = [step for step in operation["steps"] if step["is_blocked"] or step["failures"]]
        about = f"{operation['kind']} {operation['id']}"
        for step in stuck:
            what = "is blocked" if step["is_blocked"] else f"failed {step['failures']} times"
            reason = step.get("error") or step["message"] or "no reason was given"
            yield Finding(
                Verdict.WRONG if step["is_blocked"] else Verdict.NOTE,
                about,
                f"step {step['name']} {what}: {reason}",
                f"muniment events --instance {operation['instance_id']}" if operation["instance_id"] else "",
            )
        if not stuck:
            yield Finding(Verdict.GOOD, about, f"under way since {operation['started_at']}")


def _agents(installation: Installation) -> Iterator[Finding]:
    servers = installation.cloud.servers
    now_s = seconds(installation.clock.now())
    with installation.ledger.reading() as reader:
        heard = {record.id: reader.seen_at(record.tag.instance_id) for record in servers.shelf.all()}
    for record in servers.shelf.all():
        about = f"agent of {record.tag.instance_id}"
        if record.deleting:
            yield Finding(Verdict.NOTE, f"{Kind.SERVER} {record.id}", "it is being removed")
        elif (pid := servers.agent_pid(record)) is None:
            yield Finding(
                Verdict.WRONG,
                about,
                f"it does not run: {servers.last_words(record) or 'it left no word'}",
                f"look at {servers.shelf.path(record.id) / 'log'}; muniment up starts it",
            )
        elif (lacking := servers.lacks_run_directory(record)) is not None:
            yield Finding(
                Verdict.WRONG,
                about,
                f"the directory of its database's sockets, {lacking}, was taken away: backups and changes fail",
                f"muniment instance restart {record.tag.instance_id}",
            )
        elif (at_s := heard.get(record.id)) is not None and now_s - at_s > SILENT_S:
            yield Finding(
                Verdict.WRONG,
                about,
                f"process {pid} was not heard of for {now_s - at_s:.0f} s",
                "muniment up",
            )
        else:
            yield Finding(Verdict.GOOD, about, f"runs (process {pid})")


def _volumes(installation: Installation) -> Iterator[Finding]:
    """What guests last reported of volumes whose size is enforced; a directory reports the machine's disk."""
    of = [record.tag.instance_id for record in installation.cloud.volumes.shelf.all()]
    with installation.ledger.reading() as reader:
        reports = [(instance_id, reader.volume_report(instance_id)) for instance_id in of]
    for instance_id, report in reports:
        if report is not None and (facts := msgspec.json.decode(report, type=VolumeFacts)).enforced:
            yield volume_finding(instance_id, facts)


def volume_finding(instance_id: UUID, facts: VolumeFacts) -> Finding:
    """How full the volume of an instance is."""
    used, whole = facts.used_bytes, facts.used_bytes + facts.available_bytes
    percent = 100 * used // whole if whole else 0
    about = f"volume of {instance_id}"
    text = f"{percent} % of {whole / _GIB:.1f} GiB in use"
    if percent < _FILLING:
        return Finding(Verdict.GOOD, about, text)
    verdict = Verdict.WARN if percent < _FULL else Verdict.WRONG
    return Finding(
        verdict,
        about,
        text,
        "delete data, or restore a backup into an instance with a larger volume; where even that finds no space, stop what "
        f"writes and run: muniment instance restart {instance_id}, which gives room from a reserve",
    )


def _own_api(installation: Installation) -> str:
    listen = installation.settings.listen
    host, _, port = listen.api.rpartition(":")
    host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"{'http' if listen.certificate is None else 'https'}://{host}:{port}"
