"""The page of operations: the steps of each, and the engine's times."""

from collections.abc import Iterator

import msgspec
from docs.generator.markdown import GENERATED, code, paragraph, sentence, table
from docs.generator.source import field_docs

from muniment.operations.catalogue import CATALOGUE
from muniment.operations.cloud_steps import Ensure, Remove
from muniment.operations.guest_steps import Act, AwaitGuest, Job
from muniment.operations.object_steps import RemoveObjects
from muniment.operations.steps import NONE, Definition, Each, Step, Undo, always
from muniment.operations.timing import ONE_MACHINE, Timing
from muniment.operations.volume_steps import Extend

__all__ = ["operations_page"]


def operations_page() -> str:
    """Every operation with its steps, and the times that all of them share."""
    return "\n\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield GENERATED
    yield "# Operations"
    yield (
        "An operation is a list of steps. A step begins when all that it comes after has succeeded; steps that do not "
        "depend on each other run together. When one fails for good, what was attempted is undone, the last first. The "
        "version belongs to the kind: a stored history keeps meaning the steps it was started with. What can break and "
        "what to do then is in [failure modes](../explanation/failure-modes/README.md)."
    )
    for definition in CATALOGUE.values():
        yield from _operation(definition)
    yield "## Times"
    yield paragraph(Timing.__doc__)
    yield _times()


def _operation(definition: Definition) -> Iterator[str]:
    yield f"## `{definition.kind}`"
    holds = " and ".join(
        f"{'' if kind not in definition.optional else 'where there is one '}its {kind} ({hold})"
        for kind, hold in definition.occupies.items()
    )
    cancel = "It can be cancelled." if definition.is_cancellable else "It cannot be cancelled."
    yield f"{sentence(definition.wants)} It occupies {holds}. {cancel}"
    yield table(
        ("step", "does", "after", "one try may take", "tries", "undo", "what its owner reads of a failure"),
        (_row(part) for part in definition.steps),
    )


def _row(part: Step | Each) -> tuple[str, ...]:
    if isinstance(part, Each):
        # What the items are decides only what is said to the guest, not what kind of step it is.
        step, name = part.step(None), f"{code(part.name + '_1')}, … one for each"
    else:
        step, name = part, code(part.name)
    if step.only_if is not always:
        name += " (some operations only)"
    return (
        name,
        _does(step),
        ", ".join(code(before) for before in part.after),
        _deadline(step),
        _tries(step),
        _undo(step.undo),
        step.complaint,
    )


def _does(step: Step) -> str:
    match step.kind:
        case Ensure(role=role):
            return f"finds or makes the {role} in the cloud"
        case Remove(role=role):
            return f"removes the {role} until the cloud confirms that it is gone"
        case Act(op=op) | Job(op=op):
            return f"{op.kind} {code(op.name)} on the guest"
        case Extend():
            return "extends the volume in the cloud, and waits until its size is known"
        case AwaitGuest():
            return "waits until the agent has enrolled"
        case RemoveObjects():
            return "removes the backup's objects until none is left"
    raise AssertionError(f"no words for the step {step.name}")


def _deadline(step: Step) -> str:
    if isinstance(step.kind, Remove | RemoveObjects | Extend):
        return "no limit"
    limit_s = step.kind.op.deadline_s if isinstance(step.kind, Act | Job) else None
    return f"{step.deadline_s or limit_s or 0:,g} s"


def _tries(step: Step) -> str:
    return "no limit" if isinstance(step.kind, Remove | RemoveObjects) else str(step.tries)


def _undo(undo: Undo | NONE) -> str:
    match undo:
        case NONE(reason=reason):
            return f"none: {reason}"
        case Remove(role=role):
            return f"removes the {role}"
        case RemoveObjects():
            return "removes the backup's objects"
    raise AssertionError(f"no words for the undo {undo}")


def _times() -> str:
    docs, cloud = field_docs(Timing), Timing()
    return table(
        ("time", "one machine", "a cloud", "meaning"),
        (
            (
                code(field.name),
                f"{getattr(ONE_MACHINE, field.name):,g}",
                f"{getattr(cloud, field.name):,g}",
                paragraph(docs.get(field.name)),
            )
            for field in msgspec.structs.fields(Timing)
        ),
    )
