"""A driver is what it says: no capability without its ops, no op without its capability."""

from uuid import uuid4

import msgspec
import pytest

from muniment.contract import ops
from muniment.contract.errors import Code
from muniment.contract.inspection import find_guest
from muniment.contract.kit.instance import Instance
from muniment.contract.kit.subject import Subject
from muniment.contract.ops import OPS


def test_guest_half_is_whole(subject: Subject) -> None:
    """The guest half has every method of the contract and of each capability claimed."""
    found, reasons = find_guest(subject.manifest)

    assert reasons == []
    assert found is not None


def test_described(up: Instance, subject: Subject) -> None:
    """The agent says the same of the driver as the manifest."""
    described = up.do(ops.AGENT_DESCRIBE, ops.Nothing())

    assert described.driver == subject.manifest.driver
    assert set(described.capabilities) == set(subject.manifest.capabilities)


@pytest.mark.parametrize("name", sorted(OPS))
def test_unclaimed_ops_are_unsupported(up: Instance, subject: Subject, name: str) -> None:
    """An op of a capability that is not claimed is answered as such; one that is claimed is not."""
    op = OPS[name]
    is_claimed = op.capability in subject.manifest.capabilities
    if is_claimed and op.kind is not ops.OpClass.QUERY:
        return
    unreadable = ops.Op(name, op.kind, op.capability, _Unreadable, op.result, op.deadline_s)

    outcome = up.outcome(up.send(unreadable, _Unreadable(), command_id=uuid4()))

    code = outcome.error.code if outcome.error else None
    assert (code is Code.UNSUPPORTED) is not is_claimed


class _Unreadable(msgspec.Struct):
    limit: str = "many"
    account: str = "nobody"
    command_id: str = "none"
