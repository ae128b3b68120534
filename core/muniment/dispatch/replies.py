"""Answers to live queries: sealed rows with a time to live, each for the one request that waits for it."""

from typing import Final

from muniment.contract.messages import Outcome, decode_from_guest
from muniment.secret import Secret
from muniment.secrets.vault import Vault
from muniment.store.state import ReplyRow
from muniment.store.writes import PutReply

__all__ = ["REPLY_LIVES_S", "open_reply", "put_reply"]

REPLY_LIVES_S: Final = 30.0
_PURPOSE: Final = "reply"


def put_reply(vault: Vault, query_id: str, body: bytes, now_s: float) -> PutReply:
    """Keep the message body of a guest's `Outcome` under the query's id."""
    return PutReply(query_id, vault.wrap(_PURPOSE, query_id, 0, Secret(body)), now_s + REPLY_LIVES_S)


def open_reply(vault: Vault, row: ReplyRow) -> Outcome:
    """Read the answer that came.

    Raises:
        Fault: the row was altered.
    """
    outcome = decode_from_guest(vault.unwrap(_PURPOSE, row.query_id, 0, row.sealed).reveal())
    assert isinstance(outcome, Outcome), "only outcomes are kept as replies"
    return outcome
