"""What the demo proves with the operator's commands; each proof fails with what was found."""

import json

from muniment.fault import Fault
from muniment_cli.demo.operator import Operator

__all__ = ["prove_chain", "prove_read_models"]


def prove_chain(operator: Operator) -> str:
    """No event was edited, removed or swapped; a sentence with the figures.

    Raises:
        Fault: one was; with the first bad log position.
    """
    found = json.loads(operator.run("verify", "-o", "json"))
    if not found["verified"] or found["events"] == 0:
        raise Fault("demo", f"the chain is not proven: {found}", retryable=False)
    return f"{found['events']} events verified"


def prove_read_models(operator: Operator) -> str:
    """The read models are what the log makes of them; a sentence with the figures.

    Raises:
        Fault: a row differs; with its name.
    """
    found = json.loads(operator.run("rebuild", "-o", "json"))
    if not found["equal"] or found["rows"] == 0:
        raise Fault("demo", f"the read models differ: {found}", retryable=False)
    return f"{found['rows']} rows rebuilt and equal"
