"""The page of ops: what control plane, agents and drivers agree on."""

from collections.abc import Iterator

from docs.generator.markdown import GENERATED, code, paragraph, table
from docs.generator.types import structs_in, structs_section, words

from muniment.contract.manifest import CONTRACT_MAJOR, CONTRACT_MINOR, Capability
from muniment.contract.ops import OPS, Nothing, OpClass

__all__ = ["ops_page"]


def ops_page() -> str:
    """Every op with its class, capability, arguments, result and deadline."""
    return "\n\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield GENERATED
    yield f"# Ops of the driver contract, version {CONTRACT_MAJOR}.{CONTRACT_MINOR}"
    yield (
        "An op is what an agent or a driver does on command. Its class says how: "
        + paragraph(OpClass.__doc__)
        + " The "
        "deadline is how long it may take unless the step that asks for it says otherwise. Errors are in "
        "[errors](errors.md)."
    )
    yield table(
        ("op", "version", "class", "capability", "arguments", "secrets", "result", "deadline"),
        (
            (
                code(op.name),
                str(op.version),
                op.kind,
                code(op.capability),
                "" if op.args is Nothing else words(op.args),
                ", ".join(code(secret) for secret in op.secrets),
                "" if op.result is Nothing else words(op.result),
                f"{op.deadline_s:,g} s",
            )
            for op in OPS.values()
        ),
    )
    yield "## Capabilities"
    yield paragraph(Capability.__doc__)
    yield table(
        ("capability", "ops"),
        (
            (code(capability), ", ".join(code(op.name) for op in OPS.values() if op.capability == capability))
            for capability in Capability
        ),
    )
    yield "## Structures"
    used = [kind for op in OPS.values() for kind in (op.args, op.result) if kind is not Nothing]
    yield from structs_section(structs_in(used))
