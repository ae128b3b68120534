"""Writes: what is saved with events, in one transaction. `Ledger.save(events, about, writes=[...])` takes them."""

from muniment.store.writes.answers import KeepAnswer, Prune
from muniment.store.writes.commands import (
    AddOutbox,
    CloseCommand,
    Heard,
    MarkSent,
    OpenCommand,
    WithdrawOutbox,
)
from muniment.store.writes.guests import (
    AddDownlink,
    AddInbox,
    AnswerEnrolment,
    CloseEnrolment,
    ForgetGuest,
    OpenEnrolment,
    PutReply,
    SaveWindow,
    SeenAt,
    StillSilent,
    TakeDownlink,
    TakeInbox,
    TakeReply,
)
from muniment.store.writes.queue import (
    AddSignal,
    EndOperation,
    Enqueue,
    Poke,
    RenewClaim,
    Requeue,
    UseSignals,
)
from muniment.store.writes.quota import CommitReservation, ReleaseReservation, ReleaseSubject, Reserve
from muniment.store.writes.secrets import DeleteKey, DeleteSecrets, PutKey, PutSecret
from muniment.store.writes.write import Write

__all__ = [
    "Write",
    "Enqueue",
    "Requeue",
    "RenewClaim",
    "EndOperation",
    "Poke",
    "AddSignal",
    "UseSignals",
    "AddOutbox",
    "WithdrawOutbox",
    "MarkSent",
    "OpenCommand",
    "CloseCommand",
    "Heard",
    "Reserve",
    "CommitReservation",
    "ReleaseReservation",
    "ReleaseSubject",
    "PutSecret",
    "DeleteSecrets",
    "PutKey",
    "DeleteKey",
    "OpenEnrolment",
    "AnswerEnrolment",
    "CloseEnrolment",
    "ForgetGuest",
    "SaveWindow",
    "AddInbox",
    "TakeInbox",
    "AddDownlink",
    "TakeDownlink",
    "PutReply",
    "TakeReply",
    "SeenAt",
    "StillSilent",
    "KeepAnswer",
    "Prune",
]
